#include "server/telemetry/clickhouse/statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::clickhouse {
namespace {

constexpr auto kMigrations = std::to_array<std::string_view>({
    // Of rows of one number those with the most samples stay: a batch that is sent again has the same, or more of them.
    // A month a partition: 400 days are 14 of them, and what a device that was away for long brings is written in one insert (by the day it would be refused
    // beyond 100).
    "CREATE TABLE IF NOT EXISTS fleet_intervals (metric String, model String, version String, hardware String, labels String, start DateTime('UTC'), flush "
    "UInt64, "
    "samples UInt64, total Float64, least Float64, most Float64, bucket_keys Array(Int32), bucket_counts Array(UInt64)) "
    "ENGINE = ReplacingMergeTree(samples) PARTITION BY toYYYYMM(start) ORDER BY (metric, model, version, hardware, labels, start, flush)",
});

}  // namespace

std::string quote(std::string_view text) {
  std::string out = "'";
  for (char const c : text) {
    bool const plain = static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\'' && c != '\\';
    if (plain) out.push_back(c);
    else out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out + "'";
}

std::span<std::string_view const> migrations() { return kMigrations; }

std::string note_version(std::size_t version) { return fmt::format("INSERT INTO fleet_schema (version) VALUES ({})", version); }

std::string select_steps(telemetry::Wanted const& wanted) {
  auto const step_s = std::chrono::duration_cast<seconds>(wanted.step).count();
  auto const since_s = std::chrono::ceil<seconds>(wanted.since).time_since_epoch().count();
  auto out = fmt::format(
      "SELECT model, version, hardware, labels, toUInt64(intDiv(toUInt32(start), {0}) * {0}) AS step, sum(samples), sum(total), min(least), max(most), {1} "
      "FROM fleet_intervals FINAL WHERE metric = {2} AND start >= toDateTime({3}, 'UTC')",
      step_s, wanted.sketches ? "sumMap(bucket_keys, bucket_counts)" : "emptyArrayInt32(), emptyArrayUInt64()", quote(wanted.metric),
      std::max<std::int64_t>(0, since_s));
  if (!wanted.model.empty()) out += " AND model = " + quote(wanted.model);
  if (!wanted.version.empty()) out += " AND version = " + quote(wanted.version);
  return out + " GROUP BY model, version, hardware, labels, step ORDER BY model, version, hardware, labels, step FORMAT RowBinary";
}

std::string old_months(SysTime until) {
  std::chrono::year_month_day const day(std::chrono::floor<std::chrono::days>(until));
  return fmt::format(
      "SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() AND table = 'fleet_intervals' AND active AND partition < '{:04}{:02}' "
      "ORDER BY partition FORMAT TabSeparated",
      static_cast<int>(day.year()), static_cast<unsigned>(day.month()));
}

std::string drop_month(std::string_view month) { return fmt::format("ALTER TABLE fleet_intervals DROP PARTITION {}", month); }

}  // namespace fleet::clickhouse
