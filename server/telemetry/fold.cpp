#include "server/telemetry/fold.hpp"

#include "core/stats/sketch.hpp"
#include "server/telemetry/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace fleet::telemetry {
namespace {

Result<std::string> version_of(store::Tx& tx, std::string const& model, std::string const& hex) {
  auto const digest = Digest::parse(hex);
  if (!digest) return std::string{};
  auto row = tx.prepare(kVersionOfDigest);
  FLEET_TRY(bool const found, row.bind_all(*digest, model).step());
  return found ? row.text(0) : std::string{};
}

struct Series {
  std::string metric, model, version, hardware;
};

Result<std::string> merged_sketch(store::Tx& tx, Series const& series, std::int64_t start, std::map<int, std::int64_t> const& reported) {
  auto row = tx.prepare(kGetSketch);
  FLEET_TRY(bool const found, row.bind_all(series.metric, series.model, series.version, series.hardware, start).step());
  stats::Sketch sketch(reported);
  if (found) {
    FLEET_TRY(auto const stored, decode_buckets(row.text_view(0)));
    sketch.merge(stats::Sketch(stored));
  }
  return encode_buckets(sketch.buckets());
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

Result<void> fold(store::Tx& tx, std::string const& hardware, wire::MetricsItem const& item, SysTime now) {
  FLEET_TRY(auto const version, version_of(tx, item.model, item.digest));
  auto const start = to_unix_ms(std::chrono::floor<std::chrono::minutes>(std::min(item.since, now)));
  for (auto const& metric : item.metrics) {
    if (!is_usable(metric)) continue;
    Series const series{metric.name, item.model, version, hardware};
    FLEET_TRY(auto const sketch, merged_sketch(tx, series, start, metric.buckets));
    FLEET_CHECK(tx.prepare(kPutBucket)
                    .bind_all(series.metric, series.model, series.version, series.hardware, start, metric.count, metric.sum, metric.min, metric.max, sketch)
                    .run());
  }
  return {};
}

// Series by series along the primary key: a plain DELETE by time would read the whole table.
Result<void> prune(store::Tx& tx, SysTime now) {
  auto const before = to_unix_ms(now - kRetention);
  Series at;
  for (;;) {
    {
      auto next = tx.prepare(kNextSeries);
      FLEET_TRY(bool const found, next.bind_all(at.metric, at.model, at.version, at.hardware).step());
      if (!found) return {};
      at = {next.text(0), next.text(1), next.text(2), next.text(3)};
    }
    FLEET_CHECK(tx.prepare(kPruneSeries).bind_all(at.metric, at.model, at.version, at.hardware, before).run());
  }
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
