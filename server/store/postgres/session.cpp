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

Rows Session::answer(bool sent) {
  Rows last;
  for (int quiet = 0; sent;) {
    if (PQisBusy(connection_) == 0) {
      Rows next(PQgetResult(connection_));
      if (!next) break;
      last = std::move(next);
      continue;
    }
    pollfd readable{PQsocket(connection_), POLLIN, 0};
    int const came = ::poll(&readable, 1, kSecond);
    quiet += came == 0 ? 1 : 0;
    bool const waits = quiet < kQuietMax && (probes_ || !reach_->away);  // what one has found out, the others need not
    if ((came < 0 && errno == EINTR) || (came == 0 && waits)) continue;
    if (came > 0 && PQconsumeInput(connection_) == 1) continue;
    if (came > 0) {  // it broke: the next result says so
      while (Rows next{PQgetResult(connection_)}) last = std::move(next);
      break;
    }
    PQfinish(std::exchange(connection_, nullptr));
    reach_->away = true;
    return nullptr;
  }
  return last;
}

std::string Session::words() const { return connection_ == nullptr ? fmt::format("no answer in {} s", kQuietMax) : PQerrorMessage(connection_); }

Result<void> Session::connect() {
  settled_ = false;
  prepared_.clear();
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
  auto const parsed = answer(PQsendPrepare(connection_, made->name.c_str(), text.c_str(), 0, nullptr) == 1);
  if (text.empty() || is_bug(sqlstate_of(parsed.get())))
    throw std::logic_error(fmt::format("query {} does not compile: {}", query.name, PQresultErrorMessage(parsed.get())));
  if (PQresultStatus(parsed.get()) != PGRES_COMMAND_OK) return failure_of(parsed.get(), query.name);
  auto const described = answer(PQsendDescribePrepared(connection_, made->name.c_str()) == 1);
  if (PQresultStatus(described.get()) != PGRES_COMMAND_OK) return failure_of(described.get(), query.name);
  for (int i = 0; i < PQnparams(described.get()); ++i) made->parameters.push_back(static_cast<Type>(PQparamtype(described.get(), i)));
  return prepared_.emplace(made->sql, std::move(made)).first->second;
}

Result<Rows> Session::run(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters) {
  std::vector<char const*> values;
  std::vector<int> lengths, formats;
  for (auto const& one : parameters) {
    values.push_back(one ? one->bytes.c_str() : nullptr);
    lengths.push_back(one ? static_cast<int>(one->bytes.size()) : 0);
    formats.push_back(one && one->binary ? kBinary : 0);
  }
  warning_.clear();
  return checked(answer(PQsendQueryPrepared(connection_, prepared.name.c_str(), static_cast<int>(values.size()), values.data(), lengths.data(), formats.data(), kBinary) == 1),
                 std::string_view(prepared.name).substr(0, prepared.name.rfind('/')), prepared.is_commit);
}

Result<Rows> Session::run(std::string const& sql) {
  warning_.clear();
  return checked(Rows(PQexec(connection_, sql.c_str())), std::string_view(sql).substr(0, 80), sql == "COMMIT");
}

bool Session::in_transaction() const {
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
