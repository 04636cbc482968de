#pragma once

#include "server/simulation/study.hpp"

namespace fleet::simulation {

/// What people use else, over the same devices, windows and seeds: shares of runs that each rolls back.
struct Rivals {
  double fixed = 0;        ///< two in a hundred canaries bad, once there were 100, or all that the fleet has to give
  double chi_squared = 0;  ///< canaries beside controls, p < .01 at any window
};

/// Runs the study's policy with gates that see nothing, the first 300 of its runs at most, and lets the rivals look at each window.
[[nodiscard]] Result<Rivals> judge_by_rivals(Study study, int jobs);

}  // namespace fleet::simulation
