#include "server/simulation/scenario.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <array>

namespace fleet::simulation {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;
constexpr auto kKinds =
    std::to_array<std::pair<std::string_view, HarmKind>>({{"fails", HarmKind::fails}, {"silent", HarmKind::silent}, {"metric", HarmKind::metric}});

double read_between(wire::ObjectReader& reader, std::string_view key, double fallback, double min, double max) {
  double const value = reader.number(key, fallback);
  if (value < min || value > max) reader.fault(key, fmt::format("expected a number from {:g} to {:g}, got {:g}", min, max, value));
  return value;
}

Millis read_time(wire::ObjectReader& reader, std::string_view key, Millis fallback, Millis min, Millis max) {
  auto const value = reader.duration(key).value_or(fallback);
  if (value < min || value > max) reader.fault(key, fmt::format("expected a time from {} to {}", fleet::to_string(min), fleet::to_string(max)));
  return value;
}

/// A duration, forward or, with a minus before it, back.
Millis read_step(wire::ObjectReader& reader) {
  constexpr Millis kMost = std::chrono::hours(24 * 366);
  if (reader.find("clock_step") == nullptr) return Millis{0};
  auto const text = reader.text("clock_step", 40, "");
  bool const back = text.starts_with('-');
  auto const length = parse_duration(std::string_view(text).substr(back ? 1 : 0));
  if (!length) reader.fault("clock_step", length.error().detail);
  else if (*length > kMost) reader.fault("clock_step", fmt::format("expected at most {} either way", fleet::to_string(kMost)));
  else return back ? -*length : *length;
  return Millis{0};
}

HarmKind read_kind(wire::ObjectReader& reader) {
  auto const text = reader.text("kind", 16, "fails");
  for (auto const& [name, kind] : kKinds)
    if (name == text) return kind;
  reader.fault("kind", fmt::format("'{}' is none of fails, silent, metric", text));
  return HarmKind::fails;
}

MetricModel read_metric(boost::json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  wire::ObjectReader reader(value, std::move(pointer), faults);
  MetricModel out;
  out.name = reader.required_text("name", 128);
  out.mean = reader.number("mean", 0);
  out.between = read_between(reader, "between", 0, 0, 1e12);
  out.shift = reader.number("shift", 0);
  out.within = read_between(reader, "within", 0, 0, 1e12);
  out.samples_per_hour = read_between(reader, "samples_per_hour", 60, .01, 1e6);
  reader.refuse_unknown();
  return out;
}

}  // namespace

bool Scenario::harmful() const {
  if (kind == HarmKind::metric) return metric && metric->shift != 0;
  return kind == HarmKind::silent ? harm > 0 : harm > base;
}

Result<Scenario> decode_scenario(std::string_view text, std::string const& pointer, Scenario const& from) {
  using std::chrono::hours;
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, pointer, faults);
  Scenario out = from;
  out.kind = read_kind(reader);
  out.base = read_between(reader, "base", out.base, 0, 1);
  out.harm = reader.find("harm") != nullptr ? read_between(reader, "harm", 0, 0, 1) : out.kind == HarmKind::fails ? out.base : 0;
  if (reader.find("against") != nullptr) out.against = read_between(reader, "against", 0, 0, 1);
  out.offline = read_between(reader, "offline", out.offline, 0, .95);
  out.offline_hours = read_between(reader, "offline_hours", out.offline_hours, .1, 10'000);
  out.noise_spread = read_between(reader, "noise_spread", 0, 0, 3);
  out.sites = static_cast<int>(reader.integer("sites", 1, 100'000, out.sites));
  out.hardware = static_cast<int>(reader.integer("hardware", 1, 1'000, out.hardware));
  out.harm_hardware = static_cast<int>(reader.integer("harm_hardware", 0, out.hardware, out.harm_hardware));
  if (auto const* const shock = reader.find("site_shock")) {
    wire::ObjectReader inner(*shock, pointer + "/site_shock", faults);
    out.shock_share = read_between(inner, "share", 0, 0, 1);
    out.shock_hours = read_between(inner, "hours", 1, 0, 1'000);
    inner.refuse_unknown();
  }
  if (reader.find("drift_to") != nullptr) out.drift_to = read_between(reader, "drift_to", 0, 0, 1);
  if (auto const* const metric = reader.find("metric")) out.metric = read_metric(*metric, pointer + "/metric", faults);
  out.server_outage = read_time(reader, "server_outage", Millis{0}, Millis{0}, hours(24 * 7));
  out.clock_step = read_step(reader);
  out.poll = read_time(reader, "poll", out.poll, seconds(1), hours(24 * 7));
  out.long_poll = reader.boolean("long_poll", false);
  out.day_night = read_between(reader, "day_night", 0, 0, 1);
  out.probation = read_time(reader, "probation", out.probation, Millis{0}, hours(24 * 30));
  out.bytes = reader.integer("bytes", 1, INT64_C(1) << 40, out.bytes);
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "scenario"));
  return out;
}

}  // namespace fleet::simulation
