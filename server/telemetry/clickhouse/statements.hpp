#pragma once

#include "core/base/time.hpp"
#include "server/telemetry/intervals.hpp"

#include <span>
#include <string>
#include <string_view>

/// What ClickHouse is told, from 18.16 (Debian's) to today's: no TTL, no query parameters, no Map.
namespace fleet::clickhouse {

/// A text as a literal: the one way by which one gets into a statement. Bytes that are none of a word's are written as \xHH.
[[nodiscard]] std::string quote(std::string_view text);

/// Our tables, one step a number from 1 on; each may run twice.
[[nodiscard]] std::span<std::string_view const> migrations();
inline constexpr std::string_view kMakeSchema = "CREATE TABLE IF NOT EXISTS fleet_schema (version UInt32) ENGINE = MergeTree ORDER BY version";
/// A batch lies on the disk before ClickHouse says 200. Refused by versions from before there was such a setting (20.10).
inline constexpr std::string_view kSync = "ALTER TABLE fleet_intervals MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1";
inline constexpr std::string_view kSchemaVersion = "SELECT max(version) FROM fleet_schema FORMAT TabSeparated";
[[nodiscard]] std::string note_version(std::size_t version);

inline constexpr std::string_view kAnything = "SELECT 1 FORMAT TabSeparated";

/// Rows follow as RowBinary (row_binary.hpp, Row).
inline constexpr std::string_view kInsert =
    "INSERT INTO fleet_intervals (metric, model, version, hardware, labels, start, flush, samples, total, least, most, bucket_keys, bucket_counts) FORMAT "
    "RowBinary";
/// What is wanted, by series and step, as RowBinary (Step). A batch that came twice counts once: FINAL.
[[nodiscard]] std::string select_steps(telemetry::Wanted const& wanted);

/// Months that lie before `until` as a whole, one a line.
[[nodiscard]] std::string old_months(SysTime until);
/// @param month  YYYYMM
[[nodiscard]] std::string drop_month(std::string_view month);

}  // namespace fleet::clickhouse
