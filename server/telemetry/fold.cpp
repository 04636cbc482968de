#include "server/telemetry/fold.hpp"

#include "core/stats/sketch.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/series.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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

std::int64_t minute_of(SysTime at) { return to_unix_ms(std::chrono::floor<std::chrono::minutes>(at)); }

/// What is stored of this interval already.
Result<std::optional<stats::Sketch>> stored_sketch(store::Tx& tx, Series const& series, std::int64_t start) {
  auto row = tx.prepare(kGetSketch);
  FLEET_TRY(bool const found, row.bind_all(series.metric, series.model, series.version, series.hardware, start).step());
  if (!found) return std::optional<stats::Sketch>{};
  FLEET_TRY(auto const buckets, decode_buckets(row.text_view(0)));
  return std::optional(stats::Sketch(buckets));
}

Result<void> put(store::Tx& tx, Series const& series, std::int64_t start, wire::MetricsItem::Metric const& metric, std::optional<stats::Sketch> const& stored) {
  stats::Sketch sketch(metric.buckets);
  if (stored) sketch.merge(*stored);
  sketch.collapse(kBucketsOfSketch);
  return tx.prepare(kPutBucket)
      .bind_all(series.metric, series.model, series.version, series.hardware, start, metric.count, metric.sum, metric.min, metric.max,
                encode_buckets(sketch.buckets()))
      .run();
}

/// Counted, not kept: how many samples had no place. As of now, whatever the device says: its clock makes no rows.
Result<void> put_other(store::Tx& tx, std::string const& model, SysTime now, std::int64_t samples) {
  return put(tx, {std::string(kOther), model, {}, {}}, minute_of(now), {std::string(kOther), "c", samples, static_cast<double>(samples), 1, 1, {}}, std::nullopt);
}

bool is_usable(wire::MetricsItem::Metric const& metric) {
  return metric.count > 0 && std::isfinite(metric.sum) && std::isfinite(metric.min) && std::isfinite(metric.max);
}

template <class T>
bool read_number(std::string_view& text, T& value) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool skip(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<void> fold(store::Tx& tx, Reporting const& device, wire::MetricsItem const& item, SysTime now) {
  if (item.since < now - kRetention) return {};
  FLEET_TRY(auto const version, version_of(tx, item.model, item.digest));
  auto const start = minute_of(std::min(item.since, now));
  std::int64_t without_place = 0;
  for (auto const& metric : item.metrics) {
    if (!is_usable(metric)) continue;
    Series const series{metric.name, item.model, version, device.hardware};
    FLEET_TRY(auto const stored, stored_sketch(tx, series, start));
    FLEET_TRY(bool const admitted, stored ? Result<bool>(true) : admit(tx, series, device.new_series, now));
    // What comes as it happens is bounded by time itself.
    bool const in_time = stored || item.since >= now - kInTime;
    if (!admitted || !(in_time || device.old_intervals.take())) {
      without_place += metric.count;
      continue;
    }
    FLEET_CHECK(put(tx, series, start, metric, stored));
  }
  return without_place == 0 ? Result<void>{} : put_other(tx, item.model, now, without_place);
}

std::string encode_buckets(std::map<int, std::int64_t> const& buckets) {
  std::string text = "{";
  for (auto const& [key, count] : buckets) text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", key, count);
  return text + "}";
}

Result<std::map<int, std::int64_t>> decode_buckets(std::string_view json) {
  std::map<int, std::int64_t> buckets;
  auto text = json;
  bool sound = skip(text, '{');
  while (sound && !text.empty() && text.front() != '}') {
    int key = 0;
    std::int64_t count = 0;
    sound = (buckets.empty() || skip(text, ',')) && skip(text, '"') && read_number(text, key) && skip(text, '"') && skip(text, ':') && read_number(text, count);
    buckets[key] = count;
  }
  if (sound && text == "}") return buckets;
  return Error{Kind::corrupt, "bad_sketch", fmt::format("a stored sketch is no list of buckets: {}", json.substr(0, 80)), "restore a backup"};
}

}  // namespace fleet::telemetry
