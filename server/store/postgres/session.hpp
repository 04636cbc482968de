#pragma once

#include "core/base/result.hpp"
#include "server/store/db/engine.hpp"
#include "server/store/postgres/postgres.hpp"
#include "server/store/postgres/values.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct pg_conn;
struct pg_result;

namespace fleet::postgres {

struct ResultDeleter {
  void operator()(pg_result* result) const;
};
using Rows = std::unique_ptr<pg_result, ResultDeleter>;

/// A query as the server prepared it.
struct Prepared {
  std::string name;  ///< on this connection
  std::string sql;   ///< of the query: what `Connection` knows it by
  std::vector<Type> parameters;
  bool is_commit = false;
  bool is_undo = false;          ///< ROLLBACK, and ROLLBACK TO
  bool has_answer = true;        ///< rows, or what only the answer tells
  std::uint64_t connection = 0;  ///< on which: see Session::revive
  [[nodiscard]] std::string_view query() const { return std::string_view(name).substr(0, name.rfind('/')); }
};

/// libpq's connection, and what the server knows on it. Not for several threads.
class Session {
public:
  /// Connects when it is told to, or first asked to `revive`.
  /// @param settings  statements that each connection begins with
  /// @param reach     shared with other connections to the same database
  /// @param probes    it tries while the database is away; one that does not fails at once then
  Session(std::string url, std::string settings, std::shared_ptr<Reach> reach, bool probes)
      : url_(std::move(url)), settings_(std::move(settings)), reach_(std::move(reach)), probes_(probes) {}
  Session(Session const&) = delete;
  ~Session();

  /// Makes the connection, with the server's own words where it cannot.
  Result<void> connect();
  /// Makes it where there is none, or anew where it broke. Not in the midst of a transaction: what is left of it must fail, so only its beginning may ask.
  /// @errors those of `failure`; why stands in the log alone: where the database lies is not for whoever asks the server
  Result<void> revive();
  [[nodiscard]] bool knows(Prepared const& prepared) const { return prepared.connection == number_; }
  /// Of one that probes: where the database is said to be away, asks whether it still is.
  void probe();
  /// The query as it was prepared before, or is now. A text that does not compile is a bug: throws std::logic_error.
  Result<std::shared_ptr<Prepared const>> prepare(db::Query const& query);
  /// All rows of it, in binary; waits for them a little longer than the server lets a statement run, then the connection is given up. A ROLLBACK forgets what
  /// went wrong before it, a COMMIT waits for it first: one that fails so was not sent.
  /// @errors those of `failure`, of what was put off before it, and `commit_unknown`
  Result<Rows> run(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters);
  /// It gives no rows, and what it does is undone by a transaction that fails.
  [[nodiscard]] bool may_put_off(Prepared const& prepared) const;
  /// Sends it and does not wait (PostgreSQL, 34.5: pipeline mode).
  Result<void> put_off(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters);
  /// What was put off is done. @errors those of the first that failed; internal (`transaction_failed`)
  Result<void> await();
  Result<Rows> run(std::string const& sql);
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] bool is_broken() const;
  [[nodiscard]] std::int64_t total_changes();

private:
  bool send(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters);
  /// A result for each of `sent`; without some where the connection broke, which it is too where nothing came in time.
  std::vector<Rows> answers(std::size_t sent);
  /// The next result of the connection; nothing: the ones of a statement end here, or the connection broke.
  Rows next();
  /// Waits for all that was put off. @returns the first error of them
  std::optional<Error> wait();
  /// A whole answer, or what went wrong.
  Result<Rows> checked(Rows rows, std::string_view doing, bool is_commit);
  Result<Rows> checked(Rows rows, Prepared const& prepared) { return checked(std::move(rows), prepared.query(), prepared.is_commit); }
  [[nodiscard]] std::string words() const;  ///< of the connection, for what failed
  [[nodiscard]] Error failure_of(pg_result const* result, std::string_view doing) const;
  static void note(void* session, pg_result const* notice);

  std::string url_, settings_;
  std::shared_ptr<Reach> reach_;
  bool probes_;
  pg_conn* connection_ = nullptr;
  bool settled_ = false;      ///< the connection has its settings
  bool gone_ = false;         ///< that it cannot be made was logged
  std::uint64_t number_ = 0;  ///< of the connection, which may not be the first
  std::unordered_map<std::string_view, std::shared_ptr<Prepared const>> prepared_;  ///< by the query's text
  std::string warning_;  ///< that came with the last answer
  std::vector<Prepared const*> put_off_;  ///< sent, and their answers not read
  std::optional<Error> late_;             ///< of one of those, not told yet
  std::int64_t total_changes_ = 0;
};

/// Rows that a statement inserted, changed or deleted; 0 of others.
[[nodiscard]] std::int64_t affected_by(pg_result const* result);

}  // namespace fleet::postgres
