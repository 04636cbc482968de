#include "server/store/sqlite/bulk.hpp"

#include <fmt/format.h>

namespace fleet::sqlite {
namespace {

constexpr std::string_view kTriggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
constexpr std::string_view kNumbered = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%' ORDER BY name";
constexpr std::string_view kLast = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?1";
constexpr std::string_view kForget = "DELETE FROM sqlite_sequence WHERE name = ?1";
constexpr std::string_view kGoOn = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";

Result<std::vector<std::string>> texts(db::Connection& connection, std::string_view sql, int column) {
  std::vector<std::string> out;
  auto rows = connection.prepare({"bulk.texts", sql});
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(rows.text(column));
  }
}

}  // namespace

Result<std::vector<std::string>> drop_triggers(db::Connection& connection) {
  FLEET_TRY(auto const names, texts(connection, kTriggers, 0));
  FLEET_TRY(auto making, texts(connection, kTriggers, 1));
  for (auto const& name : names) FLEET_CHECK(connection.script(fmt::format("DROP TRIGGER \"{}\"", name)));
  return making;
}

Result<std::vector<std::string>> numbered_tables(db::Connection& connection) { return texts(connection, kNumbered, 0); }

Result<std::int64_t> last_number(db::Connection& connection, std::string_view table) { return connection.prepare({"bulk.last", kLast}).bind_all(table).returned(); }

Result<void> go_on_from(db::Connection& connection, std::string_view table, std::int64_t number) {
  FLEET_CHECK(connection.prepare({"bulk.forget", kForget}).bind_all(table).run());
  return connection.prepare({"bulk.go_on", kGoOn}).bind_all(table, number).run();
}

}  // namespace fleet::sqlite
