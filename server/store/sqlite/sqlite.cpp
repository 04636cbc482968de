#include "server/store/sqlite/sqlite.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace fleet::sqlite {
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

constexpr char const* kWritten = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;";
constexpr int kCheckpointPages = 2000;  // of 4 KiB

int note_wal_pages(void* out, sqlite3*, char const*, int pages) {
  *static_cast<int*>(out) = pages;
  return SQLITE_OK;
}

class SqliteStatement final : public db::EngineStatement {
public:
  explicit SqliteStatement(sqlite3_stmt* stmt) : stmt_(stmt) {}
  ~SqliteStatement() override { sqlite3_finalize(stmt_); }
  SqliteStatement(SqliteStatement const&) = delete;
  [[nodiscard]] std::string_view sql() const override { return sqlite3_sql(stmt_); }

  void bind_int64(int index, std::int64_t value) override { sqlite3_bind_int64(stmt_, index, value); }
  void bind_real(int index, double value) override { sqlite3_bind_double(stmt_, index, value); }
  void bind_text(int index, std::string_view value) override {
    // An empty view may have no data, and SQLite would take that for NULL.
    sqlite3_bind_text64(stmt_, index, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void bind_blob(int index, BytesView value) override {
    if (value.empty()) sqlite3_bind_zeroblob(stmt_, index, 0);
    else sqlite3_bind_blob64(stmt_, index, value.data(), value.size(), SQLITE_TRANSIENT);
  }
  void bind_null(int index) override { sqlite3_bind_null(stmt_, index); }

  Result<bool> step() override {
    int const code = sqlite3_step(stmt_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
      affected_ = sqlite3_changes64(sqlite3_db_handle(stmt_));
      sqlite3_reset(stmt_);  // so that it can be bound again
      return false;
    }
    auto error = failure(sqlite3_db_handle(stmt_), code, sql().substr(0, 120));
    sqlite3_reset(stmt_);
    return error;
  }
  [[nodiscard]] std::int64_t affected() const override { return affected_; }
  void reset() override {
    sqlite3_reset(stmt_);
    sqlite3_clear_bindings(stmt_);
  }

  [[nodiscard]] bool is_null(int column) const override { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }
  [[nodiscard]] std::int64_t int64(int column) const override { return sqlite3_column_int64(stmt_, column); }
  [[nodiscard]] double real(int column) const override { return sqlite3_column_double(stmt_, column); }
  [[nodiscard]] std::string_view text(int column) const override {
    auto const* const text = reinterpret_cast<char const*>(sqlite3_column_text(stmt_, column));
    return text == nullptr ? std::string_view() : std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column)));
  }
  [[nodiscard]] BytesView blob(int column) const override {
    auto const* const data = static_cast<std::uint8_t const*>(sqlite3_column_blob(stmt_, column));
    return data == nullptr ? BytesView() : BytesView(data, static_cast<std::size_t>(sqlite3_column_bytes(stmt_, column)));
  }

private:
  sqlite3_stmt* stmt_;
  std::int64_t affected_ = 0;
};

/// The standard's word for how many bytes a text has, which SQLite knows from 3.43 on.
void octet_length(sqlite3_context* context, int, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return sqlite3_result_null(context);
  static_cast<void>(sqlite3_value_text(values[0]));  // in UTF-8
  sqlite3_result_int64(context, sqlite3_value_bytes(values[0]));
}

using Handle = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;

Result<Handle> open_handle(std::string const& path, Mode mode) {
  sqlite3* raw = nullptr;
  int const flags = (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
  int const code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Handle handle(raw, &sqlite3_close);
  if (code != SQLITE_OK) return failure(raw, code, "open " + path);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, 5000);
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  if (int const made = sqlite3_create_function_v2(raw, "octet_length", 1, kFlags, nullptr, &octet_length, nullptr, nullptr, nullptr); made != SQLITE_OK)
    return failure(raw, made, "octet_length");
  return handle;
}

class SqliteEngine final : public db::Engine {
public:
  explicit SqliteEngine(Handle handle) : handle_(std::move(handle)) {}

  /// After the pragmas: an automatic checkpoint would take the same hook.
  void count_pages() { sqlite3_wal_hook(handle_.get(), &note_wal_pages, &wal_pages_); }

  std::unique_ptr<db::EngineStatement> prepare(db::Query const& query) override {
    sqlite3_stmt* stmt = nullptr;
    int const code = sqlite3_prepare_v3(handle_.get(), query.sql.data(), static_cast<int>(query.sql.size()), SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
    if (code == SQLITE_ERROR || (code == SQLITE_OK && stmt == nullptr))
      throw std::logic_error(fmt::format("query {} does not compile: {}", query.name, sqlite3_errmsg(handle_.get())));
    if (code != SQLITE_OK) throw std::runtime_error(failure(handle_.get(), code, query.name).detail);  // the schema cannot be read
    return std::make_unique<SqliteStatement>(stmt);
  }
  Result<void> script(std::string_view sql) override {
    std::string const text(sql);
    int const code = sqlite3_exec(handle_.get(), text.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(handle_.get(), code, text.substr(0, 80));
    return {};
  }
  [[nodiscard]] std::int64_t total_changes() override { return sqlite3_total_changes64(handle_.get()); }
  [[nodiscard]] bool in_transaction() const override { return sqlite3_get_autocommit(handle_.get()) == 0; }
  Result<void> settle(bool closing) override {
    if (!closing && wal_pages_ < kCheckpointPages) return {};
    // As far as readers allow; waits for nobody.
    int const code = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (code != SQLITE_OK && code != SQLITE_BUSY) return failure(handle_.get(), code, "checkpoint");
    return {};
  }

private:
  Handle handle_;
  int wal_pages_ = 0;  ///< in the write-ahead log after this connection's last commit
};

}  // namespace

Result<db::Connection> open(std::string const& path, Mode mode) {
  FLEET_TRY(auto handle, open_handle(path, mode));
  auto engine = std::make_unique<SqliteEngine>(std::move(handle));
  if (mode == Mode::read_write) FLEET_CHECK(engine->script(kWritten));
  FLEET_CHECK(engine->script("PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192;"));
  engine->count_pages();
  return db::Connection(std::move(engine));
}

Result<void> copy(std::string const& from, std::string const& to) {
  FLEET_TRY(auto const source, open_handle(from, Mode::read_only));
  FLEET_TRY(auto const target, open_handle(to, Mode::read_write));
  // As `open` would, so that the copy opens like the original.
  if (int const code = sqlite3_exec(target.get(), kWritten, nullptr, nullptr, nullptr); code != SQLITE_OK) return failure(target.get(), code, "backup to " + to);
  auto* const backup = sqlite3_backup_init(target.get(), "main", source.get(), "main");
  if (backup == nullptr) return failure(target.get(), sqlite3_errcode(target.get()), "backup to " + to);
  int const stepped = sqlite3_backup_step(backup, -1);
  int const finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE || finished != SQLITE_OK) return failure(target.get(), finished == SQLITE_OK ? stepped : finished, "backup to " + to);
  return {};
}

Result<std::vector<std::string>> check(db::Connection& connection) {
  std::vector<std::string> findings;
  auto integrity = connection.prepare({"integrity_check", "PRAGMA integrity_check"});
  for (;;) {
    FLEET_TRY(bool const row, integrity.step());
    if (!row) break;
    if (integrity.text_view(0) != "ok") findings.push_back(integrity.text(0));
  }
  auto keys = connection.prepare({"foreign_key_check", "PRAGMA foreign_key_check"});
  for (;;) {
    FLEET_TRY(bool const row, keys.step());
    if (!row) break;
    findings.push_back(fmt::format("row {} of {} points at a missing row of {}", keys.int64(1), keys.text_view(0), keys.text_view(2)));
  }
  return findings;
}

Result<std::int64_t> schema_version(db::Connection& connection) { return connection.prepare({"user_version", "PRAGMA user_version"}).returned(); }

Result<void> migrate(db::Connection& connection, std::span<db::Migration const> migrations) {
  FLEET_TRY(auto const version, schema_version(connection));
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

}  // namespace fleet::sqlite
