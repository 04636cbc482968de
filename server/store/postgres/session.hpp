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
  std::uint64_t connection = 0;  ///< on which: see Session::revive
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
  /// All rows of it, in binary; waits for them a little longer than the server lets a statement run, then the connection is given up.
  /// @errors those of `failure` and `commit_unknown`
  Result<Rows> run(Prepared const& prepared, std::vector<std::optional<Value>> const& parameters);
  Result<Rows> run(std::string const& sql);
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] bool is_broken() const;
  [[nodiscard]] std::int64_t total_changes() const { return total_changes_; }

private:
  /// The last result of what was sent; nothing, and a connection that is broken, where none came in time.
  Rows answer(bool sent);
  /// A whole answer, or what went wrong.
  Result<Rows> checked(Rows rows, std::string_view doing, bool is_commit);
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
  std::int64_t total_changes_ = 0;
};

/// Rows that a statement inserted, changed or deleted; 0 of others.
[[nodiscard]] std::int64_t affected_by(pg_result const* result);

}  // namespace fleet::postgres
