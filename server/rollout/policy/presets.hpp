#pragma once

#include "server/rollout/policy/policy.hpp"

#include <array>
#include <string_view>

/// Presets are rules, not numbers: sizes, bounds and times come from the fleet that a rollout selects.
namespace fleet::rollout {

inline constexpr auto kPresetNames = std::to_array<std::string_view>({"cautious", "standard", "fast", "small-fleet"});

/// What a preset must know of a fleet.
struct FleetShape {
  std::int64_t targeted = 0;          ///< devices, the holdback among them
  std::int64_t strata = 1;            ///< that have devices
  Millis outcome = std::chrono::minutes{30};  ///< from a device's start to its outcome at the latest: probation, and the time after which it is silent
  bool comparable = true;             ///< something runs before, so that there can be control
};

[[nodiscard]] bool is_preset(std::string_view name);
/// The policy that the preset `name` is for such a fleet. `small-fleet` is `standard`: below kTiny devices both lean on time and on absolute guardrails.
/// Pre: is_preset(name).
[[nodiscard]] Policy preset_for(std::string_view name, FleetShape const& fleet);
/// Below so many devices statistics can exclude catastrophes alone.
inline constexpr std::int64_t kTiny = 60;

}  // namespace fleet::rollout
