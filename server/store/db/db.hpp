#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "server/store/db/engine.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace fleet::db {

/// Statements of a connection that nobody runs, by their text.
using IdleStatements = std::unordered_multimap<std::string_view, std::unique_ptr<EngineStatement>>;

/// A prepared statement, borrowed from its connection and given back when it goes out of scope, its rows and bindings forgotten.
/// Parameters are bound by position from 1, columns read by position from 0.
class Statement {
public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(int index, std::int64_t value) {
    engine_->bind_int64(index, value);
    return *this;
  }
  Statement& bind(int index, int value) { return bind(index, static_cast<std::int64_t>(value)); }
  Statement& bind(int index, bool value) { return bind(index, static_cast<std::int64_t>(value)); }
  Statement& bind(int index, double value) {
    engine_->bind_real(index, value);
    return *this;
  }
  Statement& bind(int index, std::string_view value) {  ///< copied
    engine_->bind_text(index, value);
    return *this;
  }
  Statement& bind(int index, char const* value) { return bind(index, std::string_view(value)); }
  Statement& bind(int index, std::string const& value) { return bind(index, std::string_view(value)); }
  Statement& bind(int index, BytesView value) {  ///< a blob, copied
    engine_->bind_blob(index, value);
    return *this;
  }
  Statement& bind(int index, Digest const& value) { return bind(index, BytesView(value.bytes)); }
  Statement& bind(int index, std::nullptr_t) {
    engine_->bind_null(index);
    return *this;
  }
  template <class T>
  Statement& bind(int index, std::optional<T> const& value) {
    return value ? bind(index, *value) : bind(index, nullptr);
  }
  /// Binds all, from 1.
  template <class... T>
  Statement& bind_all(T const&... values) {
    int i = 0;
    (bind(++i, values), ...);
    return *this;
  }

  /// True: a row is there. @errors conflict (code `constraint`), io (`fsync_failed`, `disk_failed`), corrupt, unavailable (`disk_full`)
  Result<bool> step() { return engine_->step(); }
  /// Steps to the end; for statements without rows. An engine that asks a server may send it in a transaction without waiting: in order with all others, but
  /// what goes wrong is then an error of the next statement that is waited for (`step`, `affected`, `returned`), of `Connection::await`, or of the commit.
  Result<void> run() { return engine_->run(); }
  /// The same, waited for; how many rows it inserted, changed or deleted, without those of triggers.
  Result<std::int64_t> affected();
  /// The same of a statement that gives one number back (`RETURNING n`). @errors not_found (it gave none)
  Result<std::int64_t> returned();

  [[nodiscard]] bool is_null(int column) const { return engine_->is_null(column); }
  [[nodiscard]] std::int64_t int64(int column) const { return engine_->int64(column); }
  [[nodiscard]] double real(int column) const { return engine_->real(column); }
  [[nodiscard]] std::string text(int column) const { return std::string(engine_->text(column)); }
  [[nodiscard]] std::string_view text_view(int column) const { return engine_->text(column); }  ///< until the next step
  [[nodiscard]] BytesView blob(int column) const { return engine_->blob(column); }              ///< until the next step
  [[nodiscard]] Digest digest(int column) const;                                                ///< zero when the column is not 32 bytes
  [[nodiscard]] std::optional<std::int64_t> maybe_int64(int column) const;
  [[nodiscard]] std::optional<std::string> maybe_text(int column) const;

private:
  friend class Connection;
  Statement(IdleStatements& home, IdleStatements::node_type node);
  IdleStatements* home_;
  IdleStatements::node_type node_;
  EngineStatement* engine_;  ///< in node_
};

/// What a column takes of a text that may be empty, and of 64 hex characters that may be none: null then.
[[nodiscard]] inline std::optional<std::string> text_or_null(std::string const& text) { return text.empty() ? std::nullopt : std::optional(text); }
[[nodiscard]] inline std::optional<Digest> digest_or_null(std::string_view hex) {
  auto const parsed = Digest::parse(hex);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

/// One connection to a database, whatever its engine. Not for several threads.
class Connection {
public:
  explicit Connection(std::unique_ptr<Engine> engine);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// A statement that was prepared before, or a new one. A text that does not compile is a bug: throws std::logic_error with the query's name; a schema that
  /// cannot be read throws std::runtime_error.
  [[nodiscard]] Statement prepare(Query const& query);
  /// Several statements without parameters (migrations).
  Result<void> script(std::string_view sql) { return state_->engine->script(sql); }
  /// Waits for what `run` put off. @errors those of the first statement that failed since the last wait; in a transaction in which one failed before, and was
  /// hidden, internal (`transaction_failed`)
  Result<void> await() { return state_->engine->await(); }
  /// Rows changed on this connection since it was opened. Waits for what was put off.
  [[nodiscard]] std::int64_t total_changes() { return state_->engine->total_changes(); }
  /// False also after a failure that made SQLite roll a whole transaction back by itself (a full disk, a failed write).
  [[nodiscard]] bool in_transaction() const { return state_->engine->in_transaction(); }
  /// What the engine puts off until nobody waits for a commit: SQLite's log is copied into its database once it is long, or at the end.
  Result<void> settle(bool closing) { return state_->engine->settle(closing); }

private:
  struct State {
    std::unique_ptr<Engine> engine;
    IdleStatements idle;  ///< goes before its engine does; a borrowed one is not in here, so that a query may run inside itself
  };
  std::unique_ptr<State> state_;  ///< stays where it is: borrowed statements return to it
};

/// What code that writes is handed: proof that a transaction is open on this connection. Only the store makes one.
class Transaction {
public:
  explicit Transaction(Connection& connection) : connection_(&connection) {}
  Transaction(Transaction const&) = delete;
  [[nodiscard]] Statement prepare(Query const& query) { return connection_->prepare(query); }
  [[nodiscard]] Connection& connection() { return *connection_; }

private:
  Connection* connection_;
};

}  // namespace fleet::db
