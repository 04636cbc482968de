#include "server/store/postgres/postgres.hpp"

#include "server/store/postgres/failures.hpp"
#include "server/store/postgres/session.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace fleet::postgres {
namespace {

constexpr int kOldest = 130'000;

/// What each connection begins with. A server notices within half a minute that its peer is gone, and lets go of what that held.
constexpr std::string_view kBegins = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'; "
                                       "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
                                       "SET default_transaction_isolation = ";

constexpr std::string_view kTables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('public')";
constexpr std::string_view kSettings = "SELECT count(*) FROM settings";

std::string settings_of(Mode mode, std::string const& node = {}) {
  // What begins on a connection that only reads sees one moment, as on SQLite; what is written decides by what is committed when it asks.
  auto settings = fmt::format("{}{}", kBegins, mode == Mode::read_only ? "'repeatable read'; SET default_transaction_read_only = on" : "'read committed'; SET default_transaction_read_only = off");
  // Held as long as the connection is, and any number that nobody else takes.
  if (mode == Mode::alone) settings += "; SELECT pg_advisory_lock(4992030524978970961)";
  // What is stopped in the middle of its turn holds up all others: not for long.
  if (mode == Mode::node)
    settings += fmt::format("; SET idle_in_transaction_session_timeout = '4s'; SELECT pg_advisory_lock_shared(4992030524978970961); SELECT pg_advisory_lock(hashtextextended('fleet-node:{}', 0))", node);
  return settings;
}

class PostgresStatement final : public db::EngineStatement {
public:
  PostgresStatement(Session& session, db::Query const& query, Mode mode)
      : session_(session), name_(query.name), sql_(query.sql), postgres_(query.postgres), may_revive_(mode == Mode::read_only || sql_.starts_with("BEGIN")) {
    prepare();
  }
  [[nodiscard]] std::string_view sql() const override { return sql_; }

  void bind_int64(int index, std::int64_t value) override { put(index, "a whole number", value); }
  void bind_real(int index, double value) override { put(index, "a number", value); }
  void bind_text(int index, std::string_view value) override {
    if (value.find('\0') != std::string_view::npos) failed_ = Error{Kind::bad_input, "nul_in_text", fmt::format("{}: a text holds a NUL", name_)};
    put(index, "a text", value);
  }
  void bind_blob(int index, BytesView value) override { put(index, "bytes", value); }
  void bind_null(int index) override {
    if (prepare()) slot(index).reset();
  }

  Result<bool> step() override {
    if (!rows_) {
      bool const bound = !failed_;
      auto rows = ask();
      // What only reads, or begins, may be asked again of a server that came back; not where a value could not be bound.
      if (!rows && bound && may_revive_ && rows.error().code == "database_gone") rows = ask();
      FLEET_TRY(rows_, std::move(rows));
      affected_ = affected_by(rows_.get());
      row_ = -1;
    }
    if (++row_ < PQntuples(rows_.get())) return true;
    rows_.reset();
    return false;
  }
  Result<void> run() override {
    bool const goes_on = rows_ != nullptr;
    if (goes_on || !prepare() || failed_ || !session_.may_put_off(*prepared_)) return EngineStatement::run();
    return session_.put_off(*prepared_, parameters_);
  }
  [[nodiscard]] std::int64_t affected() const override { return affected_; }
  void reset() override {
    rows_.reset();
    failed_.reset();
    parameters_.assign(parameters_.size(), std::nullopt);
  }

  [[nodiscard]] bool is_null(int column) const override { return PQgetisnull(rows_.get(), row_, column) != 0; }
  [[nodiscard]] std::int64_t int64(int column) const override { return is_null(column) ? 0 : known(decode_int64(type(column), bytes(column)), column, "a whole number"); }
  [[nodiscard]] double real(int column) const override { return is_null(column) ? 0 : known(decode_real(type(column), bytes(column)), column, "a number"); }
  [[nodiscard]] std::string_view text(int column) const override {
    return bytes(column, is_text(type(column)), "a text");
  }
  [[nodiscard]] BytesView blob(int column) const override { return as_bytes(bytes(column, type(column) == Type::bytea, "bytes")); }

private:
  Result<Rows> ask() {
    if (!prepare() || failed_) return *std::exchange(failed_, std::nullopt);
    return session_.run(*prepared_, parameters_);
  }
  /// Where that fails the next step says so, and whoever borrows it next tries again.
  bool prepare() {
    if (failed_) return false;
    if (may_revive_)
      if (auto const alive = session_.revive(); !alive) {
        failed_ = alive.error();
        return false;
      }
    if (prepared_ && session_.knows(*prepared_)) return true;
    auto prepared = session_.prepare({name_, sql_, postgres_});
    // A connection that was idle shows here that it broke.
    if (!prepared && may_revive_ && prepared.error().code == "database_gone" && session_.revive()) prepared = session_.prepare({name_, sql_, postgres_});
    if (!prepared) {
      failed_ = prepared.error();
      return false;
    }
    prepared_ = std::move(*prepared);
    parameters_.resize(prepared_->parameters.size());
    return true;
  }
  std::optional<Value>& slot(int index) {
    if (index < 1 || static_cast<std::size_t>(index) > parameters_.size())
      throw std::logic_error(fmt::format("query {} has {} parameters, {} is bound", name_, parameters_.size(), index));
    return parameters_[static_cast<std::size_t>(index) - 1];
  }
  template <class T>
  void put(int index, std::string_view what, T value) {
    if (!prepare()) return;
    auto& to = slot(index);
    auto const type = prepared_->parameters[static_cast<std::size_t>(index) - 1];
    to = encode(type, value);
    if (!to) throw std::logic_error(fmt::format("parameter {} of query {} is {}, and {} is bound to it", index, name_, name_of(type), what));
  }
  [[nodiscard]] Type type(int column) const { return static_cast<Type>(PQftype(rows_.get(), column)); }
  [[nodiscard]] std::string_view bytes(int column) const {
    return {PQgetvalue(rows_.get(), row_, column), static_cast<std::size_t>(PQgetlength(rows_.get(), row_, column))};
  }
  [[nodiscard]] std::string_view bytes(int column, bool fits, std::string_view what) const {
    if (is_null(column)) return {};
    if (!fits) wrong(column, what);
    return bytes(column);
  }
  template <class T>
  [[nodiscard]] T known(std::optional<T> value, int column, std::string_view what) const {
    if (!value) wrong(column, what);
    return *value;
  }
  [[noreturn]] void wrong(int column, std::string_view what) const {
    throw std::logic_error(fmt::format("column {} of query {} is {}, and is read as {}", column, name_, name_of(type(column)), what));
  }

  Session& session_;
  std::string name_, sql_, postgres_;
  bool may_revive_;  ///< it only reads, or begins: nothing came before it
  std::shared_ptr<Prepared const> prepared_;
  std::vector<std::optional<Value>> parameters_;
  std::optional<Error> failed_;
  Rows rows_;
  int row_ = -1;
  std::int64_t affected_ = 0;
};

class PostgresEngine final : public db::Engine {
public:
  PostgresEngine(std::unique_ptr<Session> session, Mode mode) : session_(std::move(session)), mode_(mode) {}
  std::unique_ptr<db::EngineStatement> prepare(db::Query const& query) override { return std::make_unique<PostgresStatement>(*session_, query, mode_); }
  Result<void> script(std::string_view sql) override {
    FLEET_CHECK(session_->run(std::string(sql)));
    return {};
  }
  [[nodiscard]] std::int64_t total_changes() override { return session_->total_changes(); }
  Result<void> await() override { return session_->await(); }
  [[nodiscard]] bool in_transaction() const override { return session_->in_transaction(); }
  Result<void> settle(bool closing) override {  // the server does what there is to do
    if (mode_ != Mode::read_write && !closing) session_->probe();
    return {};
  }

private:
  std::unique_ptr<Session> session_;
  Mode mode_;
};

Result<void> check_database(db::Connection& connection) {
  auto row = connection.prepare({"what_it_is", "SELECT current_setting('server_version_num')::int8, pg_encoding_to_char(encoding)::text, datcollate::text FROM pg_database "
                                               "WHERE datname = current_database()"});
  FLEET_CHECK(row.step());
  if (row.int64(0) < kOldest)
    return Error{Kind::unprocessable, "database_too_old", fmt::format("PostgreSQL {} is older than 13", row.int64(0) / 10'000), "use a newer PostgreSQL"};
  if (row.text(1) != "UTF8" || row.text(2) != "C")
    return Error{Kind::unprocessable, "wrong_collation", fmt::format("the database has encoding {} and collation {}, not UTF8 and C", row.text(1), row.text(2)),
                 "createdb --template=template0 --locale=C --encoding=UTF8 NAME"};
  return {};
}

Result<db::Connection> connect(std::unique_ptr<Session> session, Mode mode) {
  if (auto const connected = session->connect(); !connected) {
    if (mode == Mode::read_only || mode == Mode::read_write || connected.error().code != "database_busy") return connected.error();
    return Error{Kind::conflict, "database_in_use", "another fleet-server works on this database", "end it first; a connection that it lost holds on for half a minute"};
  }
  db::Connection connection(std::make_unique<PostgresEngine>(std::move(session), mode));
  FLEET_CHECK(check_database(connection));
  return connection;
}

}  // namespace

Result<db::Connection> open(std::string const& url, Mode mode, std::shared_ptr<Reach> reach) {
  return connect(std::make_unique<Session>(url, settings_of(mode), std::move(reach), true), mode);
}

Result<db::Connection> open_node(std::string const& url, std::string const& node, std::shared_ptr<Reach> reach) {
  return connect(std::make_unique<Session>(url, settings_of(Mode::node, node), std::move(reach), true), Mode::node);
}

db::Connection reader(std::string const& url, std::shared_ptr<Reach> reach) {
  return db::Connection(std::make_unique<PostgresEngine>(std::make_unique<Session>(url, settings_of(Mode::read_only), std::move(reach), false), Mode::read_only));
}

Result<void> check_url(std::string const& url) {
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> const parsed(PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
  if (parsed && (url.starts_with("postgresql://") || url.starts_with("postgres://"))) return {};
  return Error{Kind::bad_input, "bad_database", "the database is no postgresql://...", "postgresql://USER@HOST:PORT/NAME?...; a password may stand in ~/.pgpass"};
}

Result<void> check_empty(db::Connection& connection) {
  FLEET_TRY(auto const version, schema_version(connection));
  FLEET_TRY(auto const found, connection.prepare({"count_what_is_there", version == 0 ? kTables : kSettings}).returned());
  if (found == 0) return {};
  return Error{Kind::conflict, "database_not_empty", version == 0 ? fmt::format("the database holds {} tables", found) : "the database holds a fleet already",
               "name an empty one: createdb --template=template0 --locale=C --encoding=UTF8 NAME"};
}

}  // namespace fleet::postgres
