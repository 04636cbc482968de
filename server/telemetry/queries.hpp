#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::telemetry {

inline constexpr db::Query kVersionOfDigest{"telemetry_version_of_digest", "SELECT version FROM releases WHERE digest = ?1 AND model = ?2"};
inline constexpr db::Query kGetSketch{"telemetry_get_sketch",
                                      "SELECT sketch FROM telemetry WHERE metric = ?1 AND model = ?2 AND version = ?3 AND hardware = ?4 AND start = ?5"};
inline constexpr db::Query kPutBucket{
    "telemetry_put_bucket",
    "INSERT INTO telemetry (metric, model, version, hardware, start, count, sum, min, max, sketch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) "
    "ON CONFLICT (metric, model, version, hardware, start) DO UPDATE SET "
    "count = CASE WHEN telemetry.count + excluded.count < 9007199254740991 THEN telemetry.count + excluded.count ELSE 9007199254740991 END, "
    "sum = telemetry.sum + excluded.sum, min = CASE WHEN excluded.min < telemetry.min THEN excluded.min ELSE telemetry.min END, "
    "max = CASE WHEN excluded.max > telemetry.max THEN excluded.max ELSE telemetry.max END, sketch = excluded.sketch"};
// An empty model or version selects all of them.
inline constexpr db::Query kReadSeries{"telemetry_read_series",
                                       "SELECT model, version, hardware, start, count, sum, sketch FROM telemetry "
                                       "WHERE metric = ?1 AND start >= ?2 AND (?3 = '' OR model = ?3) AND (?4 = '' OR version = ?4)"};
inline constexpr db::Query kGetSeries{"telemetry_get_series",
                                      "SELECT seen FROM telemetry_series WHERE metric = ?1 AND model = ?2 AND version = ?3 AND hardware = ?4"};
inline constexpr db::Query kPutSeries{"telemetry_put_series",
                                      "INSERT INTO telemetry_series (metric, model, version, hardware, seen) VALUES (?1, ?2, ?3, ?4, ?5) "
                                      "ON CONFLICT (metric, model, version, hardware) DO UPDATE SET seen = excluded.seen"};
inline constexpr db::Query kKnowsMetric{"telemetry_knows_metric", "SELECT 1 FROM telemetry_metrics WHERE model = ?1 AND metric = ?2"};
inline constexpr db::Query kCountMetrics{"telemetry_count_metrics", "SELECT count(*) FROM telemetry_metrics WHERE model = ?1"};
inline constexpr db::Query kPutMetric{"telemetry_put_metric",
                                      "INSERT INTO telemetry_metrics (model, metric, seen) VALUES (?1, ?2, ?3) "
                                      "ON CONFLICT (model, metric) DO UPDATE SET seen = excluded.seen"};
inline constexpr db::Query kCountSeries{"telemetry_count_series", "SELECT many FROM telemetry_series_count"};
inline constexpr db::Query kAddToSeriesCount{"telemetry_add_to_series_count", "UPDATE telemetry_series_count SET many = many + ?1"};
// ?1: what is older; ?2: how many rows at most.
inline constexpr db::Query kForgetBuckets{
    "telemetry_forget_buckets",
    "DELETE FROM telemetry WHERE (metric, model, version, hardware, start) IN (SELECT metric, model, version, hardware, start FROM telemetry "
    "WHERE start < ?1 ORDER BY start LIMIT ?2)"};
inline constexpr db::Query kForgetSeries{
    "telemetry_forget_series",
    "DELETE FROM telemetry_series WHERE (metric, model, version, hardware) IN (SELECT metric, model, version, hardware FROM telemetry_series "
    "WHERE seen < ?1 ORDER BY seen LIMIT ?2)"};
inline constexpr db::Query kForgetMetrics{
    "telemetry_forget_metrics",
    "DELETE FROM telemetry_metrics WHERE (model, metric) IN (SELECT model, metric FROM telemetry_metrics WHERE seen < ?1 ORDER BY seen LIMIT ?2)"};

inline constexpr auto kQueries =
    std::to_array<db::Query>({kVersionOfDigest, kGetSketch, kPutBucket, kReadSeries, kGetSeries, kPutSeries, kKnowsMetric, kCountMetrics, kPutMetric,
                              kCountSeries, kAddToSeriesCount, kForgetBuckets, kForgetSeries, kForgetMetrics});

}  // namespace fleet::telemetry
