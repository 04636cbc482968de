#include "server/telemetry/series.hpp"

#include "server/telemetry/queries.hpp"
#include "server/telemetry/sketches.hpp"

namespace fleet::telemetry {
namespace {

constexpr std::chrono::hours kNoteEvery{24};  // how exactly it is known when a series was heard last

Result<bool> has_room_for_name(store::Tx& tx, Series const& series) {
  FLEET_TRY(bool const known, tx.prepare(kKnowsMetric).bind_all(series.model, series.metric).step());
  if (known) return true;
  FLEET_TRY(auto const names, tx.prepare(kCountMetrics).bind_all(series.model).returned());
  return names < kMetricsOfModel;
}

Result<void> note_name(store::Tx& tx, Series const& series, std::string_view kind, SysTime now) {
  return tx.prepare(kPutMetric).bind_all(series.model, series.metric, kind, to_unix_ms(now)).run();
}

/// Nothing: nobody wrote it down. One that is there is noted as heard, once a day.
/// @param kind  of its samples; empty: its name is no metric's
Result<std::optional<Stored>> look_up(store::Tx& tx, Series const& series, std::string_view kind, std::int64_t start, SysTime now) {
  Stored out;
  SysTime seen;
  {
    auto row = tx.prepare(kFindSeries);
    FLEET_TRY(bool const found, row.bind_all(series.metric, series.model, series.version, series.hardware, series.kept.labels, start).step());
    if (!found) return std::optional<Stored>();
    out.n = row.int64(0);
    seen = from_unix_ms(row.int64(1));
    if (!row.is_null(2)) {
      FLEET_TRY(auto const buckets, decode_buckets(row.text_view(2)));
      out.sketch = stats::Sketch(buckets);
    }
  }
  if (seen > now - kNoteEvery) return std::optional(std::move(out));
  if (!kind.empty()) FLEET_CHECK(note_name(tx, series, kind, now));
  FLEET_CHECK(tx.prepare(kTouchSeries).bind_all(out.n, to_unix_ms(now)).run());
  return std::optional(std::move(out));
}

Result<Stored> add(store::Tx& tx, Series const& series, SysTime now) {
  Stored out;
  FLEET_TRY(out.n, tx.prepare(kAddSeries).bind_all(series.metric, series.model, series.version, series.hardware, series.kept.labels, series.kept.names, to_unix_ms(now)).returned());
  FLEET_CHECK(tx.prepare(kAddToSeriesCount).bind_all(std::int64_t{1}).run());
  return out;
}

/// @param many  series that there are
Result<std::optional<Stored>> find_new(store::Tx& tx, Series const& series, std::string_view kind, std::int64_t many, SysTime now) {
  FLEET_TRY(bool const named, has_room_for_name(tx, series));
  if (!named || many >= kSeriesOfFleet) return std::optional<Stored>();
  FLEET_CHECK(note_name(tx, series, kind, now));
  FLEET_TRY(auto added, add(tx, series, now));
  return std::optional(std::move(added));
}

}  // namespace

Result<std::optional<Stored>> find_series(store::Tx& tx, Series const& series, std::string_view kind, std::int64_t start, registry::DeviceQuota& quota, SysTime now) {
  FLEET_TRY(auto found, look_up(tx, series, kind, start, now));
  if (found) return found;
  FLEET_TRY(auto const many, tx.prepare(kCountSeries).returned());
  bool const labelled = !series.kept.names.empty();
  Series const plain{series.metric, series.model, series.version, series.hardware};
  if (labelled && many >= kSeriesByLabels) return find_series(tx, plain, kind, start, quota, now);
  if (quota.take()) return find_new(tx, series, kind, many, now);
  return labelled ? look_up(tx, plain, kind, start, now) : Result<std::optional<Stored>>(std::optional<Stored>());
}

Result<Stored> other_series(store::Tx& tx, std::string const& model, std::int64_t start, SysTime now) {
  Series const series{std::string(kOther), model, {}, {}};
  FLEET_TRY(auto found, look_up(tx, series, {}, start, now));
  return found ? Result<Stored>(*std::move(found)) : add(tx, series, now);
}

}  // namespace fleet::telemetry
