#pragma once

#include "core/wire/device.hpp"
#include "server/rollout/policy/policy.hpp"

#include <cstdint>
#include <map>
#include <optional>
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

/// One value of a label: devices there share what `limits.per` allows at one time.
struct Site {
  std::string label, value;
  auto operator<=>(Site const&) const = default;
};
/// Where a device stands by that label (or `hardware`); nothing without the label: it is not limited.
[[nodiscard]] std::optional<Site> site_of(std::string const& label, std::string_view hardware, wire::Labels const& labels);

/// The stage of a device that was held back and follows.
inline constexpr int kHeldBack = -1;

/// Places of the targeted devices, by stratum.
using Places = std::map<std::string, std::vector<std::int64_t>>;

/// Sizes that a rollout can have, each one holding all devices of those before it: a window is the devices between two steps. Step 0 is nobody, the
/// last one everybody who is not held back.
struct Ladder {
  std::vector<std::int64_t> counts;                                             ///< devices in all, by step, as the fleet was when it was planned
  std::map<std::string, std::vector<std::int64_t>, std::less<>> thresholds;     ///< by stratum: members of a step are the places below
  std::map<std::string, std::int64_t, std::less<>> held_from;                   ///< by stratum: the place from which devices are held back
  std::map<std::string, std::int64_t, std::less<>> sizes;                       ///< by stratum, the holdback among them
  std::vector<int> stage_size, stage_cap;                                       ///< steps, one a stage (from 0)
  std::int64_t held = 0;                                                        ///< devices held back

  [[nodiscard]] int last() const { return static_cast<int>(counts.size()) - 1; }
  [[nodiscard]] std::int64_t reach() const { return counts.empty() ? 0 : counts.back(); }
  /// Planned while the selector fitted no device: there is no first stage to begin with.
  [[nodiscard]] bool is_of_nobody() const { return reach() + held == 0; }
  /// The first step of at least so many devices; the last where none has.
  [[nodiscard]] int step_of(std::int64_t devices) const;
  /// Members of `step`, in a stratum that planning did not see by the step's share of all.
  [[nodiscard]] std::int64_t threshold(int step, std::string_view stratum) const;
  bool operator==(Ladder const&) const = default;
};

/// For the row of the rollout. @errors corrupt
[[nodiscard]] std::string encode(Ladder const& ladder);
[[nodiscard]] Result<Ladder> decode_ladder(std::string_view json);

/// The ladder of a policy over the places of a fleet. A stage's percentage rounds up in each stratum, at least one device; a count is split in
/// proportion, the largest remainders first; between stages there are steps for their windows, and more, about a twentieth apart. Stages never
/// shrink. The holdback, rounded to the nearest, is the highest places of each stratum; stages are of the rest.
/// @param places  sorted by this function
[[nodiscard]] Ladder make_ladder(std::vector<StageSpec> const& stages, double holdback, Places& places);

/// The threshold of a share of all devices: for a stratum that was empty at planning.
[[nodiscard]] std::int64_t threshold_of_share(double share);

}  // namespace fleet::rollout
