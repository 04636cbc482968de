#include "server/telemetry/series.hpp"

#include "server/telemetry/fold.hpp"
#include "server/telemetry/queries.hpp"

namespace fleet::telemetry {
namespace {

constexpr std::chrono::hours kNoteEvery{24};  // how exactly it is known when a series was heard last

Result<bool> has_room_for_name(store::Tx& tx, Series const& series) {
  auto known = tx.prepare(kKnowsMetric);
  FLEET_TRY(bool const found, known.bind_all(series.model, series.metric).step());
  if (found) return true;
  auto count = tx.prepare(kCountMetrics);
  FLEET_TRY(bool const counted, count.bind_all(series.model).step());
  return counted && count.int64(0) < kMetricsOfModel;
}

Result<bool> has_room_for_series(store::Tx& tx) {
  auto count = tx.prepare(kCountSeries);
  FLEET_TRY(bool const counted, count.step());
  return counted && count.int64(0) < kSeriesOfFleet;
}

Result<void> note(store::Tx& tx, Series const& series, SysTime now) {
  FLEET_CHECK(tx.prepare(kPutMetric).bind_all(series.model, series.metric, to_unix_ms(now)).run());
  return tx.prepare(kPutSeries).bind_all(series.metric, series.model, series.version, series.hardware, to_unix_ms(now)).run();
}

}  // namespace

Result<bool> admit(store::Tx& tx, Series const& series, registry::DeviceQuota& quota, SysTime now) {
  {
    auto known = tx.prepare(kGetSeries);
    FLEET_TRY(bool const found, known.bind_all(series.metric, series.model, series.version, series.hardware).step());
    if (found && from_unix_ms(known.int64(0)) > now - kNoteEvery) return true;
    if (found) {
      FLEET_CHECK(note(tx, series, now));
      return true;
    }
  }
  if (!quota.take()) return false;
  FLEET_TRY(bool const named, has_room_for_name(tx, series));
  FLEET_TRY(bool const counted, has_room_for_series(tx));
  if (!named || !counted) return false;
  FLEET_CHECK(note(tx, series, now));
  FLEET_CHECK(tx.prepare(kAddToSeriesCount).bind_all(std::int64_t{1}).run());
  return true;
}

Result<bool> forget_old(store::Tx& tx, SysTime now, int rows) {
  auto const before = to_unix_ms(now - kRetention);
  bool more = false;
  for (auto const* const query : {&kForgetBuckets, &kForgetMetrics, &kForgetSeries}) {
    FLEET_TRY(auto const gone, tx.prepare(*query).bind_all(before, rows).affected());
    more = more || gone == rows;
    if (query == &kForgetSeries && gone > 0) FLEET_CHECK(tx.prepare(kAddToSeriesCount).bind_all(-gone).run());
  }
  return more;
}

}  // namespace fleet::telemetry
