#pragma once

#include "server/rollout/policy/policy.hpp"

#include <span>
#include <string_view>

/// What the table of docs/statistics.md is made of.
namespace fleet::simulation {

/// What is to be reached. Shares of runs; what is not asked for is at its end.
struct Target {
  double completed_least = 0, completed_most = 1;
  double rolled_back_least = 0, rolled_back_most = 1;
  double canaries_most = 1e18;  ///< median of those that were rolled back
  double harmed_most = 1e18;    ///< median of all
};

struct CellSpec {
  std::string_view name;
  std::string_view scenario;
  bool sound;                                ///< the release does no harm
  Target (*target)(int devices);
  void (*adapt)(rollout::Policy& policy) = nullptr;  ///< adds the gate that the scenario is about
};

[[nodiscard]] std::span<CellSpec const> cells();

}  // namespace fleet::simulation
