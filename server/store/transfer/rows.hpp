#pragma once

#include "core/base/result.hpp"
#include "server/store/db/db.hpp"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

/// Rows as they are, of any table: for what carries a whole database elsewhere.
namespace fleet::store {

enum class Type { integer, real, text, blob };

struct Column {
  std::string name;
  Type type;
};

struct Table {
  std::string name;
  std::vector<Column> columns;
  std::vector<std::size_t> key;  ///< columns that tell its rows apart: of the primary key, in its order; all where it has none
};

/// As SQLite has them, in an order in which none refers to a later one.
Result<std::vector<Table>> tables_of(db::Connection& sqlite);

using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;
using Row = std::vector<Cell>;  ///< in the order of the table's columns

/// A table in the order of its key, page by page. The connection is in a transaction that sees one moment.
class Pages {
public:
  Pages(db::Connection& connection, Table const& table) : connection_(connection), table_(table) {}
  /// Empty at the end.
  Result<std::vector<Row>> next();

private:
  db::Connection& connection_;
  Table const& table_;
  Row last_;
};

/// Adds rows to a table, all in one statement. @param rows  a page of `Pages`, not empty
Result<void> put(db::Connection& connection, Table const& table, std::vector<Row> const& rows);

}  // namespace fleet::store
