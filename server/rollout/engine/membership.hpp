#pragma once

#include "core/wire/device.hpp"
#include "server/rollout/policy/policy.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Who belongs to a stage: computed from a hash, never copied. Pure.
namespace fleet::rollout {

/// A threshold that every device is below.
inline constexpr std::int64_t kEverybody = INT64_MAX;

/// The device's place in a rollout: the first 63 bits of SHA-256(salt, 0, id), so that each rollout draws its canaries anew.
[[nodiscard]] std::int64_t place(std::string_view salt, std::string_view device_id);
[[nodiscard]] constexpr bool is_member(std::int64_t place, std::int64_t threshold) { return threshold == kEverybody || place < threshold; }

/// The stratum of a device by the policy's names (hardware or labels): the values joined by `/`; a label that is absent is `-`.
[[nodiscard]] std::string stratum_of(std::vector<std::string> const& names, std::string_view hardware, wire::Labels const& labels);

/// Places of the targeted devices, by stratum.
using Places = std::map<std::string, std::vector<std::int64_t>>;

inline constexpr int kWhole = 0, kHeldBack = -1;
/// One stage of one stratum: members are the `devices` lowest places.
struct StageStratum {
  int stage = 0;  ///< `kWhole`: the stratum's whole size, threshold `kEverybody`; `kHeldBack`: those at or above the threshold
  std::string stratum;
  std::int64_t threshold = 0;
  std::int64_t devices = 0;  ///< cumulative
};

/// Thresholds of all stages from the order statistics of each stratum. A percentage rounds up in each stratum, at least one device; a count
/// is split in proportion, the largest remainders first. Stages never shrink. The holdback, rounded to the nearest, is the highest places
/// of each stratum; stages are of the rest. @param places  sorted by this function
[[nodiscard]] std::vector<StageStratum> plan_stages(std::vector<StageSpec> const& stages, double holdback, Places& places);

/// The threshold of a share of all devices: for a stratum that was empty at planning.
[[nodiscard]] std::int64_t threshold_of_share(double share);

}  // namespace fleet::rollout
