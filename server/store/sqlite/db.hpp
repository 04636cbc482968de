#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace fleet::db {

/// A prepared statement, borrowed from its connection's cache and reset when it goes out of scope.
/// Parameters are bound by position from 1, columns read by position from 0.
class Statement {
public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, int value) { return bind(index, static_cast<std::int64_t>(value)); }
  Statement& bind(int index, bool value) { return bind(index, static_cast<std::int64_t>(value)); }
  Statement& bind(int index, double value);
  Statement& bind(int index, std::string_view value);  ///< copied
  Statement& bind(int index, char const* value) { return bind(index, std::string_view(value)); }
  Statement& bind(int index, std::string const& value) { return bind(index, std::string_view(value)); }
  Statement& bind(int index, BytesView value);  ///< a blob, copied
  Statement& bind(int index, Digest const& value) { return bind(index, BytesView(value.bytes)); }
  Statement& bind(int index, std::nullptr_t);
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
  Result<bool> step();
  /// Steps to the end; for statements without rows.
  Result<void> run();

  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::int64_t int64(int column) const;
  [[nodiscard]] double real(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::string_view text_view(int column) const;  ///< until the next step
  [[nodiscard]] BytesView blob(int column) const;              ///< until the next step
  [[nodiscard]] Digest digest(int column) const;               ///< zero when the column is not 32 bytes
  [[nodiscard]] std::optional<std::int64_t> maybe_int64(int column) const;
  [[nodiscard]] std::optional<std::string> maybe_text(int column) const;

private:
  friend class Connection;
  Statement(class Connection& connection, sqlite3_stmt* stmt);
  Connection* connection_;
  sqlite3_stmt* stmt_;
};

/// What a column takes of a text that may be empty, and of 64 hex characters that may be none: null then.
[[nodiscard]] inline std::optional<std::string> text_or_null(std::string const& text) { return text.empty() ? std::nullopt : std::optional(text); }
[[nodiscard]] inline std::optional<Digest> digest_or_null(std::string_view hex) {
  auto const parsed = Digest::parse(hex);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

/// A SQL text with a name, so that every one can be prepared by a test: a constant `kGetDevice` of the room's queries.hpp.
/// Its constructor registers nothing: parts list their queries in `queries.hpp` of their folder as one array.
struct Query {
  std::string_view name;
  std::string_view sql;
};

/// One SQLite connection. Not for several threads.
class Connection {
public:
  enum class Mode { read_only, read_write };
  /// WAL, synchronous=FULL, foreign keys on, busy time-out 5 s, automatic checkpoints off for readers.
  static Result<Connection> open(std::string const& path, Mode mode);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// A statement from the cache. A text that does not compile is a bug: throws std::logic_error with the query's name; a schema that
  /// cannot be read throws std::runtime_error.
  [[nodiscard]] Statement prepare(Query const& query);
  /// Several statements without parameters (migrations, pragmas).
  Result<void> script(std::string_view sql);
  [[nodiscard]] std::int64_t last_insert_rowid() const;
  [[nodiscard]] std::int64_t changes() const;
  /// Rows changed on this connection since it was opened.
  [[nodiscard]] std::int64_t total_changes() const;
  /// False also after a failure that made SQLite roll a whole transaction back by itself (a full disk, a failed write).
  [[nodiscard]] bool in_transaction() const;
  /// Pages in the write-ahead log after this connection's last commit.
  [[nodiscard]] int wal_pages() const;
  /// Copies the whole database into a new file with SQLite's backup API.
  Result<void> backup_to(std::string const& path);
  /// PRAGMA integrity_check and foreign_key_check; the findings, empty when sound.
  Result<std::vector<std::string>> check();
  /// Copies the write-ahead log into the database as far as readers allow; waits for nobody.
  Result<void> checkpoint();

private:
  friend class Statement;
  friend class Transaction;
  struct State;
  std::unique_ptr<State> state_;
  explicit Connection(std::unique_ptr<State> state);
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

struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};
/// Brings the schema to the newest; each migration in a transaction of its own with `PRAGMA user_version`.
/// @errors conflict (the database is newer than this program), io
Result<void> migrate(Connection& connection, std::span<Migration const> migrations);

}  // namespace fleet::db
