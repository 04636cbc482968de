#include "server/store/postgres/bulk.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::postgres {
namespace {

constexpr std::string_view kSequence = "SELECT coalesce(pg_get_serial_sequence(?1, ?2), '')";
constexpr std::string_view kGoOn = "SELECT setval(CAST(CAST(?1 AS TEXT) AS REGCLASS), ?2)";

/// Empty: the column does not number.
Result<std::string> sequence_of(db::Connection& connection, std::string_view table, std::string_view column) {
  auto row = connection.prepare({"bulk.sequence", kSequence});
  FLEET_CHECK(row.bind_all(table, column).step());
  return row.text(0);
}

}  // namespace

Result<void> set_triggers(db::Connection& connection, std::string_view table, bool run) {
  return connection.script(fmt::format("ALTER TABLE \"{}\" {} TRIGGER USER", table, run ? "ENABLE" : "DISABLE"));
}

Result<std::int64_t> last_number(db::Connection& connection, std::string_view table, std::string_view column) {
  FLEET_TRY(auto const sequence, sequence_of(connection, table, column));
  if (sequence.empty()) return 0;
  auto const sql = fmt::format("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}", sequence);
  return connection.prepare({"bulk.last", sql}).returned();
}

Result<void> go_on_from(db::Connection& connection, std::string_view table, std::string_view column, std::int64_t number) {
  FLEET_TRY(auto const sequence, sequence_of(connection, table, column));
  if (sequence.empty()) return {};
  auto const sql = fmt::format("SELECT coalesce(max(\"{}\"), 0) FROM \"{}\"", column, table);
  FLEET_TRY(auto const highest, connection.prepare({"bulk.highest", sql}).returned());
  auto const last = std::max(highest, number);
  if (last == 0) return {};  // it begins at 1
  return connection.prepare({"bulk.go_on", kGoOn}).bind_all(sequence, last).run();
}

}  // namespace fleet::postgres
