#include "server/store/postgres/session.hpp"

#include "core/base/log.hpp"
#include "server/store/postgres/dialect.hpp"
#include "server/store/postgres/failures.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <new>
#include <stdexcept>
#include <utility>

namespace fleet::postgres {
namespace {

std::string_view sqlstate_of(pg_result const* result) {
  auto const* const state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view() : std::string_view(state);
}

constexpr int kBinary = 1;
constexpr int kSecond = 1'000;
constexpr int kQuietMax = 35;  // seconds without a byte; the server ends a statement after 30
constexpr std::size_t kPutOffMax = 256;  // their answers fit in what the connection buffers

/// Where it lies, and why, is not for whoever asks the server.
Error away() { return {Kind::unavailable, "database_gone", "the database cannot be reached"}; }

}  // namespace

void ResultDeleter::operator()(pg_result* result) const { PQclear(result); }

Session::~Session() {
  PQfinish(connection_);
  if (probes_) reach_->away = false;  // from now on each tries for itself
}

Result<void> Session::revive() {
  if (settled_ && !is_broken()) return {};
  if (!probes_ && reach_->away) return away();
  auto const connected = connect();
  reach_->away = !connected;
  if (connected) {
    if (std::exchange(gone_, false)) log::info("database.back");
    return {};
  }
  if (!std::exchange(gone_, true)) log::error("database.gone", {{"code", connected.error().code}, {"error", connected.error().detail}});
  return away();
}

void Session::probe() {
  if (!reach_->away) return;
  if (!is_broken() && settled_ && run("SELECT 1")) reach_->away = false;
  else [[maybe_unused]] auto const back = revive();
}

Rows Session::next() {
  for (int quiet = 0; PQisBusy(connection_) == 1;) {
    pollfd readable{PQsocket(connection_), POLLIN, 0};
    int const came = ::poll(&readable, 1, kSecond);
    quiet += came == 0 ? 1 : 0;
    bool const waits = quiet < kQuietMax && (probes_ || !reach_->away);  // what one has found out, the others need not
    if ((came < 0 && errno == EINTR) || (came == 0 && waits)) continue;
    if (came > 0 && PQconsumeInput(connection_) == 1) continue;
    if (came > 0) break;  // it broke: the next result says so
    PQfinish(std::exchange(connection_, nullptr));
    reach_->away = true;
    return nullptr;
  }
  return Rows(PQgetResult(connection_));
}

std::vector<Rows> Session::answers(std::size_t sent) {
  std::vector<Rows> out;
  if (PQpipelineSync(connection_) != 1) return out;
  for (bool again = false;;) {
    auto result = next();
    bool const ended = !result && (is_broken() || std::exchange(again, true));
    if (ended || PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) return out;
    if (!result) continue;
    again = false;
    if (out.size() < sent) out.push_back(std::move(result));
  }
}

std::string Session::words() const { return connection_ == nullptr ? fmt::format("no answer in {} s", kQuietMax) : PQerrorMessage(connection_); }

Result<void> Session::connect() {
  settled_ = false;
  prepared_.clear();
  put_off_.clear();
  late_.reset();
  ++number_;
  // Always from nothing: a connection that lacks its settings is none of ours, and the other end lets go of what it held.
  PQfinish(connection_);
  // What the URL says goes before these.
  constexpr std::array<char const*, 7> words{"connect_timeout", "application_name", "tcp_user_timeout", "keepalives_idle", "client_encoding", "dbname", nullptr};
  std::array<char const*, 7> const values{"5", "fleet-server", "10000", "10", "UTF8", url_.c_str(), nullptr};
  connection_ = PQconnectdbParams(words.data(), values.data(), 1);
  if (connection_ == nullptr) throw std::bad_alloc();
  PQsetNoticeReceiver(connection_, &Session::note, this);
  if (is_broken()) return failure("", PQerrorMessage(connection_), "connect");  // a refusal of the server, too, has only words here
  FLEET_CHECK(run(settings_));
  settled_ = true;
  return {};
}

void Session::note(void* session, pg_result const* notice) {
  auto const* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == nullptr || std::string_view(severity) != "WARNING") return;
  auto const* const message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  static_cast<Session*>(session)->warning_ = message == nullptr ? "a warning" : message;
}

Error Session::failure_of(pg_result const* result, std::string_view doing) const {
  // What the server says stands in the result; without one, or without its code, the connection failed.
  auto const state = is_broken() ? std::string_view() : sqlstate_of(result);
  return failure(state, state.empty() ? words() : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), doing);
}

Result<Rows> Session::checked(Rows rows, std::string_view doing, bool is_commit) {
  auto const status = PQresultStatus(rows.get());
  bool const came = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  if (is_commit && is_broken()) return commit_unknown(words());
  if (!came) return failure_of(rows.get(), doing);
  if (is_commit) {
    // A transaction in which something failed is rolled back, and says so by the word alone.
    if (std::string_view(PQcmdStatus(rows.get())) == "ROLLBACK") return Error{Kind::internal, "transaction_failed", "a transaction that failed was to be committed"};
    if (!warning_.empty()) return commit_unknown(warning_);
  }
  total_changes_ += affected_by(rows.get());
  return rows;
}

Result<std::shared_ptr<Prepared const>> Session::prepare(db::Query const& query) {
  if (auto const found = prepared_.find(query.sql); found != prepared_.end()) return found->second;
  auto const text = translated(query.postgres.empty() ? query.sql : query.postgres);
  auto made = std::make_shared<Prepared>();
  made->sql = query.sql;
  made->name = fmt::format("{}/{}", query.name, prepared_.size());
  made->is_commit = text == "COMMIT";
  made->connection = number_;
  made->is_undo = text.starts_with("ROLLBACK");
  if (auto failed = wait(); failed && !made->is_undo) return *failed;
  bool const sent =
      PQsendPrepare(connection_, made->name.c_str(), text.c_str(), 0, nullptr) == 1 && PQsendDescribePrepared(connection_, made->name.c_str()) == 1;
  auto const said = sent ? answers(2) : std::vector<Rows>();
  auto const* const parsed = said.empty() ? nullptr : said.front().get();
  if (text.empty() || is_bug(sqlstate_of(parsed)))
    throw std::logic_error(fmt::format("query {} does not compile: {}", query.name, PQresultErrorMessage(parsed)));
  if (PQresultStatus(parsed) != PGRES_COMMAND_OK) return failure_of(parsed, query.name);
  auto const* const described = said.size() < 2 ? nullptr : said.back().get();
  if (PQresultStatus(described) != PGRES_COMMAND_OK) return failure_of(described, query.name);
  made->has_answer = PQnfields(described) > 0 || made->is_commit || made->is_undo || text.starts_with("BEGIN");
  for (int i = 0; i < PQnparams(described); ++i) made->parameters.push_back(static_cast<Type>(PQparamtype(described, i)));
  return prepared_.emplace(made->sql, std::move(made)).first->second;
}

bool Session::may_put_off(Prepared const& prepared) const {
  return !prepared.has_answer && (!put_off_.empty() || PQtransactionStatus(connection_) == PQTRANS_INTRANS);
}

bool Session::send(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters) {
  std::vector<char const*> values;
  std::vector<int> lengths, formats;
  for (auto const& one : parameters) {
    values.push_back(one ? one->bytes.c_str() : nullptr);
    lengths.push_back(one ? static_cast<int>(one->bytes.size()) : 0);
    formats.push_back(one && one->binary ? kBinary : 0);
  }
  if (PQsendQueryPrepared(connection_, prepared.name.c_str(), static_cast<int>(values.size()), values.data(), lengths.data(), formats.data(), kBinary) != 1)
    return false;
  put_off_.push_back(&prepared);
  return true;
}

Result<Rows> Session::run(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters) {
  if (prepared.is_undo || prepared.is_commit) {
    auto const failed = wait();
    if (failed && !prepared.is_undo) return *failed;
    warning_.clear();
  }
  if (late_) return *std::exchange(late_, std::nullopt);
  if (!send(prepared, parameters)) return checked(nullptr, prepared);
  auto const sent = std::exchange(put_off_, {});
  auto rows = answers(sent.size());
  rows.resize(sent.size());
  for (std::size_t i = 0; i + 1 < sent.size(); ++i) FLEET_CHECK(checked(std::move(rows[i]), *sent[i]));
  return checked(std::move(rows.back()), prepared);
}

Result<void> Session::put_off(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters) {
  if (late_) return *std::exchange(late_, std::nullopt);
  if (!send(prepared, parameters)) return failure_of(nullptr, prepared.query());
  return put_off_.size() < kPutOffMax ? Result<void>() : await();
}

std::optional<Error> Session::wait() {
  auto failed = std::exchange(late_, std::nullopt);
  auto const sent = std::exchange(put_off_, {});
  if (sent.empty()) return failed;
  auto rows = answers(sent.size());
  rows.resize(sent.size());
  for (std::size_t i = 0; i < sent.size() && !failed; ++i)
    if (auto const done = checked(std::move(rows[i]), *sent[i]); !done) failed = done.error();
  return failed;
}

Result<void> Session::await() {
  if (auto failed = wait()) return *failed;
  if (PQtransactionStatus(connection_) == PQTRANS_INERROR) return failure("25P02", "a statement of this transaction failed", "await");
  return {};
}

Result<Rows> Session::run(std::string const& sql) {
  if (auto failed = wait(); failed && !sql.starts_with("ROLLBACK")) return *failed;
  warning_.clear();
  PQexitPipelineMode(connection_);  // which takes one statement at a time
  Rows rows(PQexec(connection_, sql.c_str()));
  PQenterPipelineMode(connection_);
  return checked(std::move(rows), std::string_view(sql).substr(0, 80), sql == "COMMIT");
}

std::int64_t Session::total_changes() {
  late_ = wait();
  return total_changes_;
}

bool Session::in_transaction() const {
  if (!put_off_.empty()) return !is_broken();  // it was in one when it took them
  auto const status = PQtransactionStatus(connection_);
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

bool Session::is_broken() const { return PQstatus(connection_) != CONNECTION_OK; }

std::int64_t affected_by(pg_result const* result) {
  auto* const asked = const_cast<pg_result*>(result);  // libpq's readers take what they do not change
  std::string_view const command(PQcmdStatus(asked));
  if (command.starts_with("SELECT")) return 0;
  std::string_view const count(PQcmdTuples(asked));
  std::int64_t out = 0;
  std::from_chars(count.data(), count.data() + count.size(), out);
  return out;
}

}  // namespace fleet::postgres
