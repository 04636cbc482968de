#pragma once

#include "server/registry/selector.hpp"
#include "server/rollout/engine/membership.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// What a rollout would do, from the places of its devices. Pure.
namespace fleet::rollout {

struct StagePlan {
  int index = 0;
  double percent = 0;
  std::int64_t devices = 0;  ///< cumulative: told before the stage may pass
  std::int64_t cap = 0;      ///< told at most, while there is no evidence to pass
  std::int64_t window = 0;   ///< canaries of its first window, and controls beside them
  std::int64_t controls = 0;
  std::vector<std::pair<std::string, std::int64_t>> strata;
  std::vector<std::string> detects;  ///< one sentence a harm gate
  std::string certifies;
};
struct Conflict {
  std::string rollout, state, selector, model;
  std::int64_t devices = 0;  ///< of the targeted; counted by `plan` alone
};
/// What devices get that are alike: of a set, once for each member.
struct Arrival {
  std::string model, to, hardware;
  std::string from;  ///< the version that runs; empty: none
  auto operator<=>(Arrival const&) const = default;
};
struct Plan {
  std::int64_t fleet = 0;       ///< how often the fleet had changed when it was read
  std::int64_t targeted = 0;
  std::int64_t holdback = 0;    ///< of the targeted: they follow once the rollout has completed
  std::int64_t ineligible = 0;  ///< selected, but the release has no variant for their hardware
  Policy policy;                ///< of a preset: what it is for this fleet
  Ladder ladder;
  std::vector<StagePlan> stages;
  std::vector<Conflict> conflicts;  ///< live rollouts of what it moves whose selectors may overlap
  std::vector<std::string> warnings;
  std::map<Arrival, std::int64_t> arrivals;  ///< of the targeted devices
};

/// Stages, power and warnings from the places of the targeted devices.
/// @param outcome  how long a device takes from its start to its outcome at the latest
/// @param fresh    devices that run nothing of the model: they can be no control
[[nodiscard]] Plan plan_of_places(Policy policy, Places& places, Millis outcome = std::chrono::minutes{30}, std::int64_t fresh = 0);

/// How `limits.per` holds the targeted devices: at each site one after the other.
struct SiteCounts {
  std::map<std::string, std::int64_t> devices;  ///< by value of the label
  std::int64_t without = 0;                     ///< have no such label: they are not limited
};
/// What it comes to, for people, and stages whose deadline it does not fit in.
/// @param proof  what a device takes between its telling and its commit at least, where all goes well
[[nodiscard]] std::vector<std::string> warn_of_sites(Policy const& policy, SiteCounts const& sites, Millis proof);

/// True when no device can match both: some label or field must have different values.
[[nodiscard]] bool disjoint(registry::Selector const& a, registry::Selector const& b);

}  // namespace fleet::rollout
