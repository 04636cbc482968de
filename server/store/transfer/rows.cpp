#include "server/store/transfer/rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

namespace fleet::store {
namespace {

constexpr std::size_t kPage = 200;  // of the widest table, well below the 32,766 parameters that SQLite takes in a statement

constexpr std::string_view kTables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
constexpr std::string_view kColumns = "SELECT name, type, pk FROM pragma_table_xinfo(?1) ORDER BY cid";
constexpr std::string_view kReferred = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1) WHERE \"table\" <> ?1";

/// A column of STRICT tables; one that takes any value is read as a text.
Type type_named(std::string_view name) {
  constexpr auto kNames = std::to_array<std::pair<std::string_view, Type>>({{"INTEGER", Type::integer}, {"REAL", Type::real}, {"BLOB", Type::blob}});
  auto const* const found = std::find_if(kNames.begin(), kNames.end(), [&](auto const& one) { return one.first == name; });
  return found == kNames.end() ? Type::text : found->second;
}

Result<std::vector<std::string>> read_names(db::Statement& rows) {
  std::vector<std::string> out;
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(rows.text(0));
  }
}

Result<Table> describe(db::Connection& sqlite, std::string const& name) {
  Table out{name, {}, {}};
  std::vector<std::pair<std::int64_t, std::size_t>> key;
  auto rows = sqlite.prepare({"rows.columns", kColumns});
  rows.bind(1, name);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    if (rows.int64(2) > 0) key.emplace_back(rows.int64(2), out.columns.size());
    out.columns.push_back({rows.text(0), type_named(rows.text_view(1))});
  }
  std::sort(key.begin(), key.end());
  for (auto const& [place, column] : key) out.key.push_back(column);
  if (out.key.empty()) {
    out.key.resize(out.columns.size());
    std::iota(out.key.begin(), out.key.end(), std::size_t{0});
  }
  return out;
}

std::string quoted(std::string_view name) { return fmt::format("\"{}\"", name); }

std::string listed(Table const& table) {
  std::vector<std::string> out;
  for (auto const& column : table.columns) out.push_back(quoted(column.name));
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string listed_key(Table const& table) {
  std::vector<std::string> out;
  for (auto const column : table.key) out.push_back(quoted(table.columns[column].name));
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string marks(std::size_t count) {
  std::vector<std::string_view> const all(count, "?");
  return fmt::format("({})", fmt::join(all, ", "));
}

Cell read_cell(db::Statement const& row, int column, Type type) {
  if (row.is_null(column)) return std::monostate{};
  if (type == Type::integer) return row.int64(column);
  if (type == Type::real) return row.real(column);
  return type == Type::blob ? std::string(as_text(row.blob(column))) : row.text(column);
}

void bind_cell(db::Statement& statement, int index, Cell const& cell, Type type) {
  if (auto const* const number = std::get_if<std::int64_t>(&cell)) statement.bind(index, *number);
  else if (auto const* const real = std::get_if<double>(&cell)) statement.bind(index, *real);
  else if (auto const* const text = std::get_if<std::string>(&cell); text == nullptr) statement.bind(index, nullptr);
  else if (type == Type::blob) statement.bind(index, as_bytes(*text));
  else statement.bind(index, *text);
}

}  // namespace

Result<std::vector<Table>> tables_of(db::Connection& sqlite) {
  auto tables = sqlite.prepare({"rows.tables", kTables});
  FLEET_TRY(auto waiting, read_names(tables));
  std::vector<Table> out;
  std::set<std::string> done;
  while (!waiting.empty()) {
    auto const before = waiting.size();
    std::vector<std::string> later;
    for (auto& name : waiting) {
      auto referred = sqlite.prepare({"rows.referred", kReferred});
      referred.bind(1, name);
      FLEET_TRY(auto const needs, read_names(referred));
      if (!std::all_of(needs.begin(), needs.end(), [&](auto const& need) { return done.contains(need); })) {
        later.push_back(std::move(name));
        continue;
      }
      FLEET_TRY(auto table, describe(sqlite, name));
      done.insert(name);
      out.push_back(std::move(table));
    }
    waiting = std::move(later);
    if (waiting.size() == before) return Error{Kind::internal, "tables_in_a_ring", fmt::format("{} and others refer to each other", waiting.front())};
  }
  return out;
}

Result<std::vector<Row>> Pages::next() {
  auto const key = listed_key(table_);
  auto const after = last_.empty() ? std::string() : fmt::format(" WHERE ({}) > {}", key, marks(table_.key.size()));
  auto const sql = fmt::format("SELECT {} FROM {}{} ORDER BY {} LIMIT {}", listed(table_), quoted(table_.name), after, key, kPage);
  auto rows = connection_.prepare({"rows.page", sql});
  if (!last_.empty())
    for (std::size_t i = 0; i < table_.key.size(); ++i) bind_cell(rows, static_cast<int>(i) + 1, last_[table_.key[i]], table_.columns[table_.key[i]].type);
  std::vector<Row> out;
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    Row row;
    for (std::size_t i = 0; i < table_.columns.size(); ++i) row.push_back(read_cell(rows, static_cast<int>(i), table_.columns[i].type));
    out.push_back(std::move(row));
  }
  if (!out.empty()) last_ = out.back();
  return out;
}

Result<void> put(db::Connection& connection, Table const& table, std::vector<Row> const& rows) {
  std::vector<std::string> const values(rows.size(), marks(table.columns.size()));
  auto const sql = fmt::format("INSERT INTO {} ({}) VALUES {}", quoted(table.name), listed(table), fmt::join(values, ", "));
  auto insert = connection.prepare({"rows.put", sql});
  int index = 0;
  for (auto const& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) bind_cell(insert, ++index, row[i], table.columns[i].type);
  return insert.run();
}

}  // namespace fleet::store
