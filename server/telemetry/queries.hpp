#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::telemetry {

inline constexpr db::Query kVersionOfDigest{"telemetry_version_of_digest", "SELECT version FROM releases WHERE digest = ?1 AND model = ?2"};
// A series, and what is stored of one of its intervals: null where nothing is.
inline constexpr db::Query kFindSeries{
    "telemetry_find_series",
    "SELECT s.n, s.seen, i.sketch FROM metric_series s LEFT JOIN metric_intervals i ON i.series = s.n AND i.start = ?6 "
    "WHERE s.metric = ?1 AND s.model = ?2 AND s.version = ?3 AND s.hardware = ?4 AND s.labels = ?5"};
inline constexpr db::Query kAddSeries{"telemetry_add_series",
                                      "INSERT INTO metric_series (metric, model, version, hardware, labels, kept_by, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING n"};
inline constexpr db::Query kTouchSeries{"telemetry_touch_series", "UPDATE metric_series SET seen = ?2 WHERE n = ?1"};
inline constexpr db::Query kPutInterval{
    "telemetry_put_interval",
    "INSERT INTO metric_intervals (series, start, count, sum, min, max, sketch, flagged) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
    "ON CONFLICT (series, start) DO UPDATE SET "
    "count = CASE WHEN metric_intervals.count + excluded.count < 9007199254740991 THEN metric_intervals.count + excluded.count ELSE 9007199254740991 END, "
    "sum = metric_intervals.sum + excluded.sum, flagged = metric_intervals.flagged + excluded.flagged, "
    "min = CASE WHEN excluded.count > 0 AND (metric_intervals.count = 0 OR excluded.min < metric_intervals.min) THEN excluded.min ELSE metric_intervals.min END, "
    "max = CASE WHEN excluded.count > 0 AND (metric_intervals.count = 0 OR excluded.max > metric_intervals.max) THEN excluded.max ELSE metric_intervals.max END, "
    "sketch = excluded.sketch"};
inline constexpr db::Query kGetSketch{"telemetry_get_sketch", "SELECT sketch FROM metric_intervals WHERE series = ?1 AND start = ?2"};
// An empty model or version selects all of them. A series' intervals follow each other.
inline constexpr db::Query kReadIntervals{
    "telemetry_read_intervals",
    "SELECT s.n, s.model, s.version, s.hardware, s.labels, i.start, i.count, i.sum, i.min, i.max, i.sketch, i.flagged FROM metric_series s "
    "JOIN metric_intervals i ON i.series = s.n WHERE s.metric = ?1 AND i.start >= ?2 AND (?3 = '' OR s.model = ?3) AND (?4 = '' OR s.version = ?4) "
    "ORDER BY s.model, s.version, s.hardware, s.labels, i.start"};
inline constexpr db::Query kKnowsMetric{"telemetry_knows_metric", "SELECT 1 FROM metric_names WHERE model = ?1 AND metric = ?2"};
inline constexpr db::Query kCountMetrics{"telemetry_count_metrics", "SELECT count(*) FROM metric_names WHERE model = ?1"};
inline constexpr db::Query kPutMetric{"telemetry_put_metric",
                                      "INSERT INTO metric_names (model, metric, kind, seen) VALUES (?1, ?2, ?3, ?4) "
                                      "ON CONFLICT (model, metric) DO UPDATE SET kind = excluded.kind, seen = excluded.seen"};
inline constexpr db::Query kListMetrics{"telemetry_list_metrics",
                                        "SELECT model, metric, kind, seen FROM metric_names WHERE (?1 = '' OR model = ?1) AND (model, metric) > (?2, ?3) "
                                        "ORDER BY model, metric LIMIT ?4"};
inline constexpr db::Query kKinds{"telemetry_kinds", "SELECT metric, kind FROM metric_names WHERE model = ?1"};
inline constexpr db::Query kNewestDocument{"telemetry_newest_document", "SELECT document FROM releases WHERE model = ?1 AND state <> 'revoked' ORDER BY n DESC LIMIT 1"};
inline constexpr db::Query kCountSeries{"telemetry_count_series", "SELECT many FROM telemetry_series_count"};
inline constexpr db::Query kAddToSeriesCount{"telemetry_add_to_series_count", "UPDATE telemetry_series_count SET many = many + ?1"};
// After the start ?1 of series ?2, and before ?3: the oldest ?4.
inline constexpr db::Query kOldIntervals{"telemetry_old_intervals",
                                         "SELECT series, start, count, sum, min, max, sketch, flagged FROM metric_intervals WHERE (start, series) > (?1, ?2) AND start < ?3 "
                                         "ORDER BY start, series LIMIT ?4"};
inline constexpr db::Query kDropInterval{"telemetry_drop_interval", "DELETE FROM metric_intervals WHERE series = ?1 AND start = ?2"};
// ?1: what is older; ?2: how many rows at most.
inline constexpr db::Query kForgetIntervals{
    "telemetry_forget_intervals",
    "DELETE FROM metric_intervals WHERE (series, start) IN (SELECT series, start FROM metric_intervals WHERE start < ?1 ORDER BY start, series LIMIT ?2)"};
// Of series that were heard last before ?1 and are kept by ?3: their intervals first, lest one statement drops a million rows.
inline constexpr db::Query kDropIntervals{
    "telemetry_drop_intervals",
    "DELETE FROM metric_intervals WHERE (series, start) IN (SELECT i.series, i.start FROM metric_series s JOIN metric_intervals i ON i.series = s.n "
    "WHERE s.kept_by = ?3 AND s.seen < ?1 LIMIT ?2)"};
inline constexpr db::Query kDropSeries{"telemetry_drop_series",
                                       "DELETE FROM metric_series WHERE n IN (SELECT s.n FROM metric_series s WHERE s.kept_by = ?3 AND s.seen < ?1 "
                                       "AND NOT EXISTS (SELECT 1 FROM metric_intervals i WHERE i.series = s.n) "
                                       "AND NOT EXISTS (SELECT 1 FROM telemetry_outbox o WHERE o.series = s.n) LIMIT ?2)"};
inline constexpr db::Query kLabelSets{"telemetry_label_sets", "SELECT DISTINCT kept_by FROM metric_series"};
// What waits for a sink: the numbers of the oldest and the newest row, and when the oldest came; null where nothing waits.
inline constexpr db::Query kWaiting{"telemetry_waiting",
                                    "SELECT (SELECT min(n) FROM telemetry_outbox), (SELECT max(n) FROM telemetry_outbox), "
                                    "(SELECT at FROM telemetry_outbox WHERE n = (SELECT min(n) FROM telemetry_outbox))"};
inline constexpr db::Query kAppend{"telemetry_append",
                                   "INSERT INTO telemetry_outbox (series, start, count, sum, min, max, sketch, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"};
inline constexpr db::Query kGetBatch{"telemetry_get_batch", "SELECT flush, until FROM telemetry_batch"};
inline constexpr db::Query kEndOfBatch{"telemetry_end_of_batch", "SELECT max(n) FROM (SELECT n FROM telemetry_outbox ORDER BY n LIMIT ?1) AS oldest"};
inline constexpr db::Query kPutBatch{"telemetry_put_batch", "INSERT INTO telemetry_batch (one, flush, until) VALUES (1, ?1, ?2)"};
inline constexpr db::Query kReadBatch{
    "telemetry_read_batch",
    "SELECT o.series, o.start, o.count, o.sum, o.min, o.max, o.sketch, s.metric, s.model, s.version, s.hardware, s.labels FROM telemetry_outbox o "
    "LEFT JOIN metric_series s ON s.n = o.series WHERE o.n <= ?1 ORDER BY o.n"};
// 0 where the batch is gone.
inline constexpr db::Query kCountBatch{"telemetry_count_batch",
                                       "SELECT count(*) FROM telemetry_outbox o WHERE o.n <= ?2 AND EXISTS (SELECT 1 FROM telemetry_batch b WHERE b.flush = ?1)"};
inline constexpr db::Query kDropBatchRows{"telemetry_drop_batch_rows", "DELETE FROM telemetry_outbox WHERE n <= ?1"};
inline constexpr db::Query kDropBatch{"telemetry_drop_batch", "DELETE FROM telemetry_batch WHERE flush = ?1"};
inline constexpr db::Query kMoveIntervals{
    "telemetry_move_intervals",
    "INSERT INTO telemetry_outbox (series, start, count, sum, min, max, sketch, at) "
    "SELECT series, start, count, sum, min, max, sketch, ?1 FROM metric_intervals ORDER BY start, series LIMIT ?2"};
inline constexpr db::Query kDropOldest{
    "telemetry_drop_oldest", "DELETE FROM metric_intervals WHERE (series, start) IN (SELECT series, start FROM metric_intervals ORDER BY start, series LIMIT ?1)"};
inline constexpr db::Query kForgetMetrics{
    "telemetry_forget_metrics",
    "DELETE FROM metric_names WHERE (model, metric) IN (SELECT model, metric FROM metric_names WHERE seen < ?1 ORDER BY seen LIMIT ?2)"};

inline constexpr db::Query kGetLatest{"telemetry_get_latest", "SELECT at, metrics, skew, told_off, told FROM device_latest WHERE device = ?1"};
inline constexpr db::Query kPutLatest{"telemetry_put_latest",
                                      "INSERT INTO device_latest (device, at, metrics, flagged, skew, told_off, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                                      "ON CONFLICT (device) DO UPDATE SET at = excluded.at, metrics = excluded.metrics, flagged = excluded.flagged, "
                                      "skew = excluded.skew, told_off = excluded.told_off, told = excluded.told"};
inline constexpr db::Query kCountFlagged{"telemetry_count_flagged", "SELECT flagged, count(*) FROM device_latest WHERE flagged > 0 GROUP BY flagged"};

inline constexpr auto kQueries = std::to_array<db::Query>(
    {kVersionOfDigest, kFindSeries,      kAddSeries,     kTouchSeries, kPutInterval, kGetSketch,     kReadIntervals, kKnowsMetric, kCountMetrics,
     kPutMetric,       kListMetrics,     kKinds,         kNewestDocument, kCountSeries, kAddToSeriesCount, kOldIntervals, kDropInterval, kForgetIntervals,
     kDropIntervals,   kDropSeries,      kLabelSets,     kForgetMetrics,  kWaiting,     kAppend,           kGetBatch,     kEndOfBatch,   kPutBatch,
     kReadBatch,       kCountBatch,      kDropBatchRows, kDropBatch,      kMoveIntervals, kDropOldest,   kGetLatest,    kPutLatest,    kCountFlagged});

}  // namespace fleet::telemetry
