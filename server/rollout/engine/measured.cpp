#include "server/rollout/engine/measured.hpp"

#include "core/wire/json.hpp"
#include "server/rollout/engine/exact.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr std::size_t kBytesMax = 16 * 1024;
constexpr std::int64_t kCountMax = INT64_C(1) << 60;

}  // namespace

void add(DeviceSummary& s, wire::MetricsItem::Metric const& metric) {
  if (metric.count <= 0 || metric.count > kCountMax - s.count || !std::isfinite(metric.sum)) return;
  s.count += metric.count;
  s.sum += metric.sum;
  s.sketch.merge(stats::Sketch(metric.buckets));
  s.sketch.collapse(DeviceSummary::kBucketsMax);
}

std::optional<double> value_of(DeviceSummary const& s, MetricGate const& gate) {
  if (s.count == 0 || (gate.quantile && s.sketch.count() == 0)) return std::nullopt;
  double const value = gate.quantile ? s.sketch.quantile(*gate.quantile) : s.sum / static_cast<double>(s.count);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<std::vector<double>> bins_of(DeviceSummary const& s, MetricRange const& range) {
  if (s.sketch.count() == 0 || !(range.lo < range.hi)) return std::nullopt;
  constexpr double kMost = DeviceSummary::kBins - 1;
  std::vector<double> out(DeviceSummary::kBins, 0.);
  for (auto const& [key, count] : s.sketch.buckets()) {
    double const at = (stats::Sketch::value_of(key) - range.lo) / (range.hi - range.lo) * static_cast<double>(DeviceSummary::kBins);
    out[static_cast<std::size_t>(std::clamp(at, 0., kMost))] += static_cast<double>(count) / static_cast<double>(s.sketch.count());
  }
  return out;
}

std::string encode(DeviceSummary const& s) {
  json::object buckets;
  for (auto const& [key, count] : s.sketch.buckets()) buckets[std::to_string(key)] = count;
  return json::serialize(json::object{{"count", s.count}, {"sum", write_exact({&s.sum, 1})}, {"buckets", std::move(buckets)}});
}

Result<DeviceSummary> decode_summary(std::string_view text) {
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  Error const corrupt{Kind::corrupt, "bad_row", "a device's summary is not as it was written"};
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  DeviceSummary out;
  out.count = reader.integer("count", 0, kCountMax, 0);
  auto const sum = read_exact(reader.text("sum", 64, "0"));
  if (sum.size() != 1) return corrupt;
  out.sum = sum[0];
  stats::Sketch::Buckets buckets;
  for (auto const& [key, count] : reader.text_map("buckets", DeviceSummary::kBucketsMax, 32)) {
    int at = 0;
    std::int64_t devices = 0;
    bool const read = std::from_chars(key.data(), key.data() + key.size(), at).ec == std::errc{} &&
                      std::from_chars(count.data(), count.data() + count.size(), devices).ec == std::errc{};
    if (!read || devices <= 0) return corrupt;
    buckets[at] = devices;
  }
  if (!faults.empty()) return corrupt;
  out.sketch = stats::Sketch(buckets);
  return out;
}

}  // namespace fleet::rollout
