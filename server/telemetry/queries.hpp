#pragma once

#include "server/store/sqlite/db.hpp"

#include <array>

namespace fleet::telemetry {

inline constexpr db::Query kVersionOfDigest{"telemetry_version_of_digest", "SELECT version FROM releases WHERE digest = ?1 AND model = ?2"};
inline constexpr db::Query kGetSketch{"telemetry_get_sketch",
                                      "SELECT sketch FROM telemetry WHERE metric = ?1 AND model = ?2 AND version = ?3 AND hardware = ?4 AND start = ?5"};
inline constexpr db::Query kPutBucket{
    "telemetry_put_bucket",
    "INSERT INTO telemetry (metric, model, version, hardware, start, count, sum, min, max, sketch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
    "ON CONFLICT (metric, model, version, hardware, start) DO UPDATE SET count = count + excluded.count, sum = sum + excluded.sum, "
    "min = min(min, excluded.min), max = max(max, excluded.max), sketch = excluded.sketch"};
// An empty model or version selects all of them.
inline constexpr db::Query kReadSeries{"telemetry_read_series",
                                       "SELECT model, version, hardware, start, count, sum, sketch FROM telemetry "
                                       "WHERE metric = ?1 AND start >= ?2 AND (?3 = '' OR model = ?3) AND (?4 = '' OR version = ?4)"};
inline constexpr db::Query kNextSeries{"telemetry_next_series",
                                       "SELECT metric, model, version, hardware FROM telemetry WHERE (metric, model, version, hardware) > (?1, ?2, ?3, ?4) "
                                       "ORDER BY metric, model, version, hardware LIMIT 1"};
inline constexpr db::Query kPruneSeries{"telemetry_prune_series",
                                        "DELETE FROM telemetry WHERE metric = ?1 AND model = ?2 AND version = ?3 AND hardware = ?4 AND start < ?5"};

inline constexpr auto kQueries = std::to_array<db::Query>({kVersionOfDigest, kGetSketch, kPutBucket, kReadSeries, kNextSeries, kPruneSeries});

}  // namespace fleet::telemetry
