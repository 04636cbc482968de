#pragma once

#include "server/registry/selector.hpp"
#include "server/rollout/engine/membership.hpp"

#include <cstdint>
#include <string>
#include <vector>

/// What a rollout would do, from the places of its devices. Pure.
namespace fleet::rollout {

struct StagePlan {
  int index = 0;
  double percent = 0;
  std::int64_t devices = 0;
  std::vector<std::pair<std::string, std::int64_t>> strata;
  std::vector<std::string> detects;  ///< one sentence a harm gate
  std::string certifies;
};
struct Conflict {
  std::string rollout, state, selector;
  std::int64_t devices = 0;  ///< of the targeted; counted by `plan` alone
};
struct Plan {
  std::int64_t targeted = 0;
  std::int64_t holdback = 0;    ///< of the targeted: they follow once the rollout has completed
  std::int64_t ineligible = 0;  ///< selected, but the release has no variant for their hardware
  std::vector<StageStratum> membership;
  std::vector<StagePlan> stages;
  std::vector<Conflict> conflicts;  ///< live rollouts of the model whose selectors may overlap
  std::vector<std::string> warnings;
};

/// Stages, power and warnings from the places of the targeted devices.
[[nodiscard]] Plan plan_of_places(Policy const& policy, Places& places);

/// True when no device can match both: some label or field must have different values.
[[nodiscard]] bool disjoint(registry::Selector const& a, registry::Selector const& b);

}  // namespace fleet::rollout
