#pragma once

#include "server/simulation/virtual_fleet.hpp"

#include <string>

/// Many runs of one policy against one kind of release, and what came of them.
namespace fleet::simulation {

inline constexpr int kDevicesMin = 10, kDevicesMax = 100'000, kRunsMax = 1'000;
/// Devices times runs: a few seconds of one core.
inline constexpr std::int64_t kWorkMax = 100'000;
/// The same times stages, times absolute gates and one: each stage is looked at some hundred times, and each gate at every device.
inline constexpr std::int64_t kLooksMax = 2'000'000;

struct Study {
  rollout::Policy policy;
  Scenario scenario;
  int devices = 1'000;
  int runs = 20;
  std::uint64_t seed = 1;  ///< of the first run; each further one takes the next
};

/// What the policy lets pass of this kind of badness. A policy without a gate that sees it lets nothing pass and catches nothing.
struct Allowance {
  double share = 0;
  std::string gate;  ///< empty: no gate sees it
};
[[nodiscard]] Allowance allowance(rollout::Policy const& policy, BadKind kind);

/// Runs the study. Gives the object `simulation` of the API. @errors internal: a fault of the rules, with the seed that shows it
[[nodiscard]] Result<std::string> study_json(Study const& study);

}  // namespace fleet::simulation
