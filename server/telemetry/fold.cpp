#include "server/telemetry/fold.hpp"

#include "core/stats/sketch.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/series.hpp"
#include "server/telemetry/sketches.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::telemetry {
namespace {

constexpr std::chrono::hours kInTime{1};

Result<std::string> version_of(store::Tx& tx, std::string const& model, std::string const& hex) {
  auto const digest = Digest::parse(hex);
  if (!digest) return std::string{};
  auto row = tx.prepare(kVersionOfDigest);
  FLEET_TRY(bool const found, row.bind_all(*digest, model).step());
  return found ? row.text(0) : std::string{};
}

/// Buckets count the samples, between the least and the most of them; of others one device would make the quantiles of all.
bool fits(wire::MetricsItem::Metric const& metric) {
  if (metric.buckets.empty()) return true;
  std::int64_t samples = 0;
  for (auto const& [key, count] : metric.buckets)
    if (count < 0 || __builtin_add_overflow(samples, count, &samples)) return false;
  return samples == metric.count && metric.buckets.begin()->first >= stats::Sketch::key_of(metric.min) - 1 && metric.buckets.rbegin()->first <= stats::Sketch::key_of(metric.max) + 1;
}

/// Where and when something is kept.
struct Place {
  bool to_outbox = false;
  SysTime now{};
  [[nodiscard]] std::int64_t start_of(SysTime at) const { return to_unix_ms(to_outbox ? at - at.time_since_epoch() % kInterval : interval_of(at, now)); }
};

Result<void> put(store::Tx& tx, Place const& place, Stored const& stored, std::int64_t start, wire::MetricsItem::Metric const& metric) {
  stats::Sketch sketch(fits(metric) ? metric.buckets : std::map<int, std::int64_t>());
  if (place.to_outbox && metric.count == 0) return {};  // what is flagged is told of the device, and not there
  if (place.to_outbox)
    return tx.prepare(kAppend)
        .bind_all(stored.n, start, metric.count, metric.sum, metric.min, metric.max, encode_buckets(sketch.buckets()), to_unix_ms(place.now))
        .run();
  if (stored.sketch) sketch.merge(*stored.sketch);
  sketch.collapse(kBucketsOfSketch);
  return tx.prepare(kPutInterval).bind_all(stored.n, start, metric.count, metric.sum, metric.min, metric.max, encode_buckets(sketch.buckets()), metric.flagged.all()).run();
}

/// Counted, not kept: how many samples had no place. As of now, whatever the device says: its clock makes no rows.
Result<void> put_other(store::Tx& tx, Place const& place, std::string const& model, std::int64_t samples) {
  auto const start = place.start_of(place.now);
  FLEET_TRY(auto const stored, other_series(tx, model, start, place.now));
  return put(tx, place, stored, start, {std::string(kOther), "c", samples, static_cast<double>(samples), 1, 1, {}});
}

bool is_usable(wire::MetricsItem::Metric const& metric) {
  return (metric.count > 0 || metric.flagged.all() > 0) && std::isfinite(metric.sum) && std::isfinite(metric.min) && std::isfinite(metric.max);
}

}  // namespace

Result<void> fold(store::Tx& tx, Reporting const& device, wire::MetricsItem const& item, SysTime now) {
  if (item.since < now - kRetention) return {};
  FLEET_TRY(auto const version, version_of(tx, item.model, item.digest));
  Place const place{device.to_outbox, now};
  auto const start = place.start_of(std::min(item.since, now));
  device.latest.take(item, version, now);
  std::int64_t without_place = 0;
  for (auto const& metric : item.metrics) {
    if (!is_usable(metric)) continue;
    FLEET_TRY(auto const stored, find_series(tx, {metric.name, item.model, version, device.hardware, device.kept}, metric.kind, start, device.new_series, now));
    // What comes as it happens is bounded by time itself.
    bool const in_time = stored && (stored->sketch || item.since >= now - kInTime);
    if (!stored || !(in_time || device.old_intervals.take())) {
      without_place += metric.count + metric.flagged.all();
      continue;
    }
    FLEET_CHECK(put(tx, place, *stored, start, metric));
  }
  return without_place == 0 ? Result<void>{} : put_other(tx, place, item.model, without_place);
}

}  // namespace fleet::telemetry
