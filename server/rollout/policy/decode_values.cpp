#include "server/rollout/policy/amounts.hpp"
#include "server/rollout/policy/decode.hpp"

#include <fmt/format.h>

#include <cmath>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

bool is_within(double value, Between const& b) {
  if (!std::isfinite(value) || (value != 0 && std::abs(value) < kNumberMin)) return false;
  return (b.open_low ? value > b.low : value >= b.low) && (b.open_high ? value < b.high : value <= b.high);
}

std::string out_of_bounds(double value, Between const& b) {
  return fmt::format("expected a number {} {} and {} {}, got {}", b.open_low ? "above" : "of at least", b.low, b.open_high ? "below" : "at most", b.high, value);
}

}  // namespace

double read_number(ObjectReader& reader, std::string_view key, double fallback, Between const& between) {
  double const value = kept(reader.number(key, fallback));
  if (value == fallback || is_within(value, between)) return value;
  reader.fault(key, out_of_bounds(value, between));
  return fallback;
}

std::vector<double> read_numbers(ObjectReader& reader, std::string_view key, Between const& between, Faults& faults) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return {};
  auto const wrong = [&](json::value const& item) -> std::optional<std::string> {
    if (!item.is_number()) return "expected a number, or a list of them, such as 3 or [5, 3, 2]";
    auto const number = kept(item.to_number<double>());
    return is_within(number, between) ? std::nullopt : std::optional(out_of_bounds(number, between));
  };
  if (!value->is_array()) {
    if (auto const fault = wrong(*value)) reader.fault(key, *fault);
    else return {kept(value->to_number<double>())};
    return {};
  }
  std::vector<double> out;
  auto const* const list = reader.array(key, kItemsMax);
  if (list == nullptr) return out;
  if (list->empty()) reader.fault(key, "expected at least one number, got an empty list; leave the key out");
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (auto const fault = wrong((*list)[i])) faults.push_back({fmt::format("{}/{}", reader.pointer(key), i), *fault});
    else out.push_back(kept((*list)[i].to_number<double>()));
  }
  return out;
}

double read_share(ObjectReader& reader, std::string_view key, double fallback, bool zero) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return fallback;
  auto const share = value->is_string() ? parse_share(value->get_string()) : std::nullopt;
  if (share && (*share >= kShareMin || (zero && *share == 0)) && *share < 1) return std::abs(*share);
  if (value->is_string()) reader.fault(key, fmt::format("'{}' is no share between {:g}% and 100%; write for example 2%", std::string_view(value->get_string()).substr(0, 40), kShareMin * 100));
  else reader.fault(key, "expected a share as text, such as 2%");
  return fallback;
}

std::optional<double> read_percent(ObjectReader& reader, std::string_view key) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return std::nullopt;
  std::optional<double> percent;
  if (value->is_number()) percent = value->to_number<double>();
  else if (value->is_string()) percent = parse_percent(value->get_string());
  if (percent) percent = kept(*percent);
  if (percent && *percent >= kShareMin * 100 && *percent <= 100) return percent;
  reader.fault(key, "expected a percentage above 0 and at most 100, such as 10 or 10%");
  return std::nullopt;
}

Millis read_duration(ObjectReader& reader, std::string_view key) {
  auto const length = reader.duration(key).value_or(Millis{0});
  if (length >= Millis{0} && length <= std::chrono::hours(24 * 366)) return length;
  reader.fault(key, "expected a duration between 0 and 366d");
  return Millis{0};
}

}  // namespace fleet::rollout
