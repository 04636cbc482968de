#pragma once

#include "core/wire/release.hpp"

#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// What the device can tell of its power and heat. Nothing: it has no such reading.
struct PowerReadings {
  std::optional<int> battery;  ///< percent
  std::optional<bool> charging;
  std::optional<double> temperature;  ///< degrees Celsius
};

/// A variant and when it runs.
struct VariantChoice {
  std::string name;
  wire::VariantWhen when;
};

/// A variant that runs is left only when its reading is so far on the other side: a battery at the limit would switch with each look.
inline constexpr int kBatteryMargin = 5;          ///< of 100
inline constexpr double kTemperatureMargin = 3;  ///< degrees

/// The first whose conditions all hold; empty: the hardware's own.
/// @param running  what runs, by name
[[nodiscard]] std::string choose_variant(std::vector<VariantChoice> const& choices, std::string const& running, PowerReadings const& readings);
/// What is read, as far as a device's choices ask for it: `battery 25 %, charging no, 71.5 degrees`.
[[nodiscard]] std::string words_of(PowerReadings const& readings);

}  // namespace fleet::agent
