#include "agent/conditions/variant_choice.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace fleet::agent {
namespace {

/// @param runs  then it holds on to the margin
bool holds(wire::VariantWhen const& when, PowerReadings const& readings, bool runs) {
  if (when.is_unknown) return false;
  bool const battery = when.battery_below == 0 || (readings.battery && *readings.battery < when.battery_below + (runs ? kBatteryMargin : 0));
  bool const charging = !when.charging || readings.charging == when.charging;
  bool const temperature =
      !when.temperature_above || (readings.temperature && *readings.temperature > *when.temperature_above - (runs ? kTemperatureMargin : 0));
  return battery && charging && temperature;
}

}  // namespace

std::string choose_variant(std::vector<VariantChoice> const& choices, std::string const& running, PowerReadings const& readings) {
  auto const found = std::find_if(choices.begin(), choices.end(), [&](VariantChoice const& one) { return holds(one.when, readings, one.name == running); });
  return found == choices.end() ? std::string() : found->name;
}

std::string words_of(PowerReadings const& readings) {
  std::vector<std::string> out;
  if (readings.battery) out.push_back(fmt::format("battery {} %", *readings.battery));
  if (readings.charging) out.push_back(*readings.charging ? "charging" : "not charging");
  if (readings.temperature) out.push_back(fmt::format("{:.1f} degrees", *readings.temperature));
  return out.empty() ? std::string("no readings") : fmt::format("{}", fmt::join(out, ", "));
}

}  // namespace fleet::agent
