#include "core/wire/golden.hpp"

#include "core/base/fs.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::size_t kColumnsMax = 64, kColumnNameMax = 128;
constexpr double kLatencyMaxMs = 3.6e6;  ///< an hour, as long as the test may take

json::array words(std::vector<std::string> const& list) { return json::array(list.begin(), list.end()); }

/// `50ms`, `0.5ms`, `250us`, `2s`; 0: what is no latency.
double parse_latency(std::string_view text) {
  constexpr auto kUnits = std::to_array<std::pair<std::string_view, double>>({{"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}});
  double number = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  auto const unit = fault == std::errc{} ? text.substr(static_cast<std::size_t>(end - text.data())) : std::string_view("?");
  for (auto const& [name, factor] : kUnits)
    if (unit == name && number > 0 && number * factor <= kLatencyMaxMs) return number * factor;
  return 0;
}

double read_latency(ObjectReader& reader, std::string_view key) {
  if (reader.find(key) == nullptr) return 0;
  auto const text = reader.text(key, 40, {});
  double const latency = parse_latency(text);
  if (!(latency > 0)) reader.fault(key, fmt::format("'{}' is no latency: write a number and a unit, up to an hour: 50ms, 0.5ms, 250us, 2s", text));
  return latency;
}

std::map<std::string, double> read_tolerances(ObjectReader& parent, std::string const& pointer, std::vector<FieldError>& faults) {
  auto const* const value = parent.find("tolerances");
  if (value == nullptr) return {};
  ObjectReader reader(*value, pointer, faults);
  if (!reader.valid()) return {};
  auto const& columns = value->get_object();
  if (columns.size() > kColumnsMax) faults.push_back({pointer, fmt::format("{} columns, at most {} are taken", columns.size(), kColumnsMax)});
  std::map<std::string, double> out;
  for (auto const& [key, inner] : columns) {
    if (inner.is_null()) continue;
    std::string_view const name(key.data(), key.size());
    if (name.empty() || name.size() > kColumnNameMax) faults.push_back({pointer, fmt::format("a column's name has 1 to {} bytes", kColumnNameMax)});
    double const tolerance = reader.number(name, 0);
    if (!(tolerance >= 0)) reader.fault(name, "must not be negative");
    out.emplace(name, tolerance);
  }
  return out;
}

/// `2%` or `0.02`.
double read_share(ObjectReader& reader, std::string_view key) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return 0;
  double share = -1;
  if (value->is_string()) {
    auto const text = reader.text(key, 40, {});
    auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), share);
    share = fault == std::errc{} && std::string_view(end) == "%" ? share / 100 : -1;
  } else {
    share = reader.number(key, 0);
  }
  if (share >= 0 && share <= 1) return share;
  reader.fault(key, "expected a share, 0% to 100%, or a number from 0 to 1");
  return 0;
}

void read_command(ObjectReader& reader, std::vector<std::string>& out) {
  out = reader.texts("command", kWordsMax, kWordBytesMax);
  if (out.empty()) reader.fault("command", "is required");
}

}  // namespace

Millis read_time(ObjectReader& reader, std::string_view key, Millis fallback, Millis most) {
  auto const time = reader.duration(key).value_or(fallback);
  if (time > most) reader.fault(key, fmt::format("at most {}, got {}", to_string(most), to_string(time)));
  return time;
}

std::uint64_t read_size(ObjectReader& reader, std::string_view key) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return 0;
  if (value->is_number()) return static_cast<std::uint64_t>(reader.integer(key, 0, std::int64_t{1} << 50, 0));
  auto const written = reader.text(key, 40, {});
  auto const size = parse_size(written);
  if (!size) reader.fault(key, size.error().detail);
  return size ? *size : 0;
}

Golden read_golden(json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  Golden golden;
  read_command(reader, golden.command);
  golden.timeout = read_time(reader, "timeout", golden.timeout, kProgramTimeMax);
  golden.inputs = reader.text("inputs", 1024, {});
  golden.expect = reader.required_text("expect", 1024);
  golden.tolerance = reader.number("tolerance", 0);
  golden.tolerances = read_tolerances(reader, pointer + "/tolerances", faults);
  golden.latency_max_ms = read_latency(reader, "latency_max");
  golden.memory_max_bytes = read_size(reader, "memory_max");
  golden.again = read_time(reader, "again", Millis{0}, kAgainMax);
  if (golden.timeout <= Millis{0}) reader.fault("timeout", "must be longer than 0");
  if (golden.again != Millis{0} && golden.again < kAgainMin) reader.fault("again", fmt::format("at least {}, got {}", to_string(kAgainMin), to_string(golden.again)));
  if (!(golden.tolerance >= 0)) reader.fault("tolerance", "must not be negative");
  for (auto const& [key, path] : {std::pair{"inputs", &golden.inputs}, std::pair{"expect", &golden.expect}})
    if (!path->empty() && !is_safe_relative_path(*path)) reader.fault(key, "must be the relative path of a file of the release");
  if (strict) reader.refuse_unknown();
  return golden;
}

Shadow read_shadow(json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  Shadow shadow;
  read_command(reader, shadow.command);
  shadow.timeout = read_time(reader, "timeout", shadow.timeout, kProgramTimeMax);
  shadow.n = reader.required_integer("n", 1, kShadowInferencesMax);
  shadow.disagree_max = read_share(reader, "disagree_max");
  if (shadow.timeout <= Millis{0}) reader.fault("timeout", "must be longer than 0");
  if (strict) reader.refuse_unknown();
  return shadow;
}

json::object golden_json(Golden const& golden) {
  json::object out{{"command", words(golden.command)},
                   {"timeout", to_string(golden.timeout)},
                   {"inputs", golden.inputs},
                   {"expect", golden.expect},
                   {"tolerance", golden.tolerance}};
  json::object columns;
  for (auto const& [name, tolerance] : golden.tolerances) columns[name] = tolerance;
  if (!columns.empty()) out["tolerances"] = std::move(columns);
  if (golden.latency_max_ms > 0) out["latency_max"] = fmt::format("{}ms", golden.latency_max_ms);
  if (golden.memory_max_bytes > 0) out["memory_max"] = golden.memory_max_bytes;
  if (golden.again > Millis{0}) out["again"] = to_string(golden.again);
  return out;
}

json::object shadow_json(Shadow const& shadow) {
  return {{"command", words(shadow.command)}, {"timeout", to_string(shadow.timeout)}, {"n", shadow.n}, {"disagree_max", shadow.disagree_max}};
}

}  // namespace fleet::wire
