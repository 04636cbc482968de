#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace fleet::db {

/// A SQL text with a name, so that every one can be prepared by a test: a constant `kGetDevice` of the room's queries.hpp.
/// Its constructor registers nothing: parts list their queries in `queries.hpp` of their folder as one array.
/// One text in what both engines speak (README.md); where that cannot be, `postgres` is PostgreSQL's, with the same parameters and columns.
/// Parameters are `?`, counted, or `?1`.
struct Query {
  std::string_view name;
  std::string_view sql;
  std::string_view postgres = {};
};

/// One step of the schema. `number` is the schema's version after it.
struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};

/// What an engine makes of a query: `Statement` forwards to it. Parameters count from 1, columns from 0; a text or blob that was read stays until the next step.
class EngineStatement {
public:
  virtual ~EngineStatement() = default;
  [[nodiscard]] virtual std::string_view sql() const = 0;  ///< of the query, as long as this lives

  virtual void bind_int64(int index, std::int64_t value) = 0;
  virtual void bind_real(int index, double value) = 0;
  virtual void bind_text(int index, std::string_view value) = 0;
  virtual void bind_blob(int index, BytesView value) = 0;
  virtual void bind_null(int index) = 0;

  /// False: there is no further row, and it begins anew with the next step.
  virtual Result<bool> step() = 0;
  /// To its end; one that gives no rows may be put off: see `Statement::run`.
  virtual Result<void> run() {
    for (;;) {
      FLEET_TRY(bool const row, step());
      if (!row) return {};
    }
  }
  /// Rows that it inserted, changed or deleted, the last time it came to its end; not those that its triggers did.
  [[nodiscard]] virtual std::int64_t affected() const = 0;
  /// Forgets its rows and what was bound.
  virtual void reset() = 0;

  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t int64(int column) const = 0;
  [[nodiscard]] virtual double real(int column) const = 0;
  [[nodiscard]] virtual std::string_view text(int column) const = 0;
  [[nodiscard]] virtual BytesView blob(int column) const = 0;
};

/// One connection of an engine: `Connection` keeps its statements and forwards the rest.
class Engine {
public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<EngineStatement> prepare(Query const& query) = 0;
  virtual Result<void> script(std::string_view sql) = 0;
  /// What was put off has come, or failed.
  virtual Result<void> await() { return {}; }
  [[nodiscard]] virtual std::int64_t total_changes() = 0;
  [[nodiscard]] virtual bool in_transaction() const = 0;
  virtual Result<void> settle(bool closing) = 0;
};

}  // namespace fleet::db
