#include "core/wire/metric_schema.hpp"

#include <cmath>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::size_t kUnitMax = 32;
constexpr Millis kTimeMin{1'000}, kTimeMax = std::chrono::days{366};

/// `range: [0, 1]`. In a signed release what is no range counts as none: the text of a number does not always read back to the last bit.
std::optional<MetricSchema::Range> read_range(ObjectReader& reader, bool strict) {
  if (reader.find("range") == nullptr) return std::nullopt;
  auto const* const ends = reader.array("range", 2);
  if (ends == nullptr) return std::nullopt;
  boost::system::error_code bad_lo, bad_hi;
  MetricSchema::Range range;
  if (ends->size() == 2) range = {(*ends)[0].to_number<double>(bad_lo), (*ends)[1].to_number<double>(bad_hi)};
  bool const sound = ends->size() == 2 && !bad_lo && !bad_hi && std::isfinite(range.lo) && std::isfinite(range.hi) && range.lo < range.hi;
  if (sound) return range;
  if (strict) reader.fault("range", "expected two numbers, the smaller first, that no value lies beyond: [0, 1]");
  return std::nullopt;
}

Millis read_time(ObjectReader& reader, std::string_view key, bool strict) {
  auto const time = reader.duration(key).value_or(Millis{0});
  if (time == Millis{0} || (time >= kTimeMin && time <= kTimeMax)) return time;
  if (strict) reader.fault(key, "is between 1s and 366d");
  return Millis{0};
}

}  // namespace

MetricSchema read_metric_schema(ObjectReader& reader, bool strict) {
  MetricSchema out;
  out.unit = reader.text("unit", kUnitMax, {});
  out.range = read_range(reader, strict);
  out.varies = read_time(reader, "varies", strict);
  out.every = read_time(reader, "every", strict);
  out.local = reader.boolean("local", false);
  if (strict) reader.refuse_unknown();
  return out;
}

json::object metric_schema_json(MetricSchema const& metric) {
  json::object out;
  if (!metric.unit.empty()) out["unit"] = metric.unit;
  if (metric.range) out["range"] = json::array{metric.range->lo, metric.range->hi};
  if (metric.varies > Millis{0}) out["varies"] = to_string(metric.varies);
  if (metric.every > Millis{0}) out["every"] = to_string(metric.every);
  if (metric.local) out["local"] = true;
  return out;
}

}  // namespace fleet::wire
