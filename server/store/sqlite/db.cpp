#include "server/store/sqlite/db.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace fleet::db {
namespace {

/// SQLite's result as ours. A failed fsync has a code of its own: after it nobody knows what the disk holds.
Error failure(sqlite3* handle, int code, std::string_view doing) {
  auto const text = fmt::format("{}: {} ({})", doing, handle == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle), code);
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) return {Kind::io, "fsync_failed", text, "look at the disk"};
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT: return {Kind::conflict, "constraint", text};
    case SQLITE_FULL: return {Kind::unavailable, "disk_full", text, "free some space and try again"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return {Kind::unavailable, "database_busy", text};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return {Kind::corrupt, "database_corrupt", text, "stop the server and restore a backup"};
    case SQLITE_CANTOPEN: return {Kind::not_found, "cannot_open_database", text};
    case SQLITE_IOERR: return {Kind::io, "disk_failed", text, "look at the disk"};
    default: return {Kind::io, "database_failed", text};
  }
}

int note_wal_pages(void* out, sqlite3*, char const*, int pages) {
  *static_cast<int*>(out) = pages;
  return SQLITE_OK;
}

}  // namespace

struct Connection::State {
  sqlite3* handle = nullptr;
  /// Free statements by text; a borrowed one is not in here, so that a query may run inside itself.
  std::unordered_multimap<std::string_view, sqlite3_stmt*> idle;
  int wal_pages = 0;

  State() = default;
  State(State const&) = delete;
  State& operator=(State const&) = delete;
  ~State() {
    for (auto const& [sql, stmt] : idle) sqlite3_finalize(stmt);
    sqlite3_close(handle);
  }
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::open(std::string const& path, Mode mode) {
  auto state = std::make_unique<State>();
  int const flags = (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
  int const code = sqlite3_open_v2(path.c_str(), &state->handle, flags, nullptr);
  if (code != SQLITE_OK) return failure(state->handle, code, "open " + path);
  sqlite3_extended_result_codes(state->handle, 1);
  sqlite3_busy_timeout(state->handle, 5000);
  auto* const raw = state.get();
  Connection connection(std::move(state));
  if (mode == Mode::read_write) FLEET_CHECK(connection.script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"));
  FLEET_CHECK(connection.script("PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192;"));
  // After the pragmas: an automatic checkpoint would take the same hook.
  sqlite3_wal_hook(raw->handle, &note_wal_pages, &raw->wal_pages);
  return connection;
}

Statement Connection::prepare(Query const& query) {
  if (auto const found = state_->idle.find(query.sql); found != state_->idle.end()) {
    auto* const stmt = found->second;
    state_->idle.erase(found);
    return {*this, stmt};
  }
  sqlite3_stmt* stmt = nullptr;
  int const code = sqlite3_prepare_v3(state_->handle, query.sql.data(), static_cast<int>(query.sql.size()), SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
  if (code == SQLITE_ERROR || (code == SQLITE_OK && stmt == nullptr))
    throw std::logic_error(fmt::format("query {} does not compile: {}", query.name, sqlite3_errmsg(state_->handle)));
  if (code != SQLITE_OK) throw std::runtime_error(failure(state_->handle, code, query.name).detail);  // the schema cannot be read
  return {*this, stmt};
}

Result<void> Connection::script(std::string_view sql) {
  std::string const text(sql);
  int const code = sqlite3_exec(state_->handle, text.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(state_->handle, code, text.substr(0, 80));
  return {};
}

std::int64_t Connection::last_insert_rowid() const { return sqlite3_last_insert_rowid(state_->handle); }
std::int64_t Connection::changes() const { return sqlite3_changes64(state_->handle); }
std::int64_t Connection::total_changes() const { return sqlite3_total_changes64(state_->handle); }
bool Connection::in_transaction() const { return sqlite3_get_autocommit(state_->handle) == 0; }
int Connection::wal_pages() const { return state_->wal_pages; }

Result<void> Connection::backup_to(std::string const& path) {
  FLEET_TRY(auto const target, open(path, Mode::read_write));
  auto* const backup = sqlite3_backup_init(target.state_->handle, "main", state_->handle, "main");
  if (backup == nullptr) return failure(target.state_->handle, sqlite3_errcode(target.state_->handle), "backup to " + path);
  int const stepped = sqlite3_backup_step(backup, -1);
  int const finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE || finished != SQLITE_OK) return failure(target.state_->handle, finished == SQLITE_OK ? stepped : finished, "backup to " + path);
  return {};
}

Result<std::vector<std::string>> Connection::check() {
  std::vector<std::string> findings;
  auto integrity = prepare({"integrity_check", "PRAGMA integrity_check"});
  for (;;) {
    FLEET_TRY(bool const row, integrity.step());
    if (!row) break;
    if (integrity.text_view(0) != "ok") findings.push_back(integrity.text(0));
  }
  auto keys = prepare({"foreign_key_check", "PRAGMA foreign_key_check"});
  for (;;) {
    FLEET_TRY(bool const row, keys.step());
    if (!row) break;
    findings.push_back(fmt::format("row {} of {} points at a missing row of {}", keys.int64(1), keys.text_view(0), keys.text_view(2)));
  }
  return findings;
}

Result<void> Connection::checkpoint() {
  int const code = sqlite3_wal_checkpoint_v2(state_->handle, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && code != SQLITE_BUSY) return failure(state_->handle, code, "checkpoint");
  return {};
}

Statement::Statement(Connection& connection, sqlite3_stmt* stmt) : connection_(&connection), stmt_(stmt) {}
Statement::Statement(Statement&& other) noexcept : connection_(other.connection_), stmt_(std::exchange(other.stmt_, nullptr)) {}

Statement::~Statement() {
  if (stmt_ == nullptr) return;
  sqlite3_reset(stmt_);
  sqlite3_clear_bindings(stmt_);
  // The key must outlive the query it came from: SQLite keeps its own copy of the text.
  connection_->state_->idle.emplace(std::string_view(sqlite3_sql(stmt_)), stmt_);
}

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(stmt_, index, value);
  return *this;
}
Statement& Statement::bind(int index, double value) {
  sqlite3_bind_double(stmt_, index, value);
  return *this;
}
Statement& Statement::bind(int index, std::string_view value) {
  // An empty view may have no data, and SQLite would take that for NULL.
  sqlite3_bind_text64(stmt_, index, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind(int index, BytesView value) {
  if (value.empty()) sqlite3_bind_zeroblob(stmt_, index, 0);
  else sqlite3_bind_blob64(stmt_, index, value.data(), value.size(), SQLITE_TRANSIENT);
  return *this;
}
Statement& Statement::bind(int index, std::nullptr_t) {
  sqlite3_bind_null(stmt_, index);
  return *this;
}

Result<bool> Statement::step() {
  int const code = sqlite3_step(stmt_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(stmt_);  // so that it can be bound again
    return false;
  }
  auto error = failure(sqlite3_db_handle(stmt_), code, std::string_view(sqlite3_sql(stmt_)).substr(0, 120));
  sqlite3_reset(stmt_);
  return error;
}

Result<void> Statement::run() {
  for (;;) {
    FLEET_TRY(bool const row, step());
    if (!row) return {};
  }
}

bool Statement::is_null(int column) const { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }
std::int64_t Statement::int64(int column) const { return sqlite3_column_int64(stmt_, column); }
double Statement::real(int column) const { return sqlite3_column_double(stmt_, column); }
std::string Statement::text(int column) const { return std::string(text_view(column)); }

std::string_view Statement::text_view(int column) const {
  auto const* const text = reinterpret_cast<char const*>(sqlite3_column_text(stmt_, column));
  return text == nullptr ? std::string_view() : std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column)));
}

BytesView Statement::blob(int column) const {
  auto const* const data = static_cast<std::uint8_t const*>(sqlite3_column_blob(stmt_, column));
  return data == nullptr ? BytesView() : BytesView(data, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column)));
}

Digest Statement::digest(int column) const {
  auto const found = Digest::from_bytes(blob(column));
  return found ? *found : Digest{};
}

std::optional<std::int64_t> Statement::maybe_int64(int column) const { return is_null(column) ? std::nullopt : std::optional(int64(column)); }
std::optional<std::string> Statement::maybe_text(int column) const { return is_null(column) ? std::nullopt : std::optional(text(column)); }

Result<void> migrate(Connection& connection, std::span<Migration const> migrations) {
  std::int64_t version = 0;
  {
    auto read = connection.prepare({"user_version", "PRAGMA user_version"});
    FLEET_TRY(bool const row, read.step());
    version = row ? read.int64(0) : 0;
  }
  std::int64_t const newest = migrations.empty() ? 0 : migrations.back().number;
  if (version > newest)
    return Error{Kind::conflict, "database_is_newer", fmt::format("the database has schema {}, this program knows {}", version, newest),
                 "run the newer program"};
  for (auto const& migration : migrations) {
    if (migration.number <= version) continue;
    FLEET_CHECK(connection.script("BEGIN IMMEDIATE"));
    auto applied = connection.script(migration.sql);
    if (applied) applied = connection.script(fmt::format("PRAGMA user_version={}; COMMIT", migration.number));
    if (!applied) {
      auto error = applied.error();
      error.detail = fmt::format("migration {}: {}", migration.name, error.detail);
      if (auto const undone = connection.script("ROLLBACK"); !undone) error.detail += "; " + undone.error().detail;
      return error;
    }
  }
  return {};
}

}  // namespace fleet::db
