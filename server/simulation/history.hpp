#pragma once

#include "server/rollout/engine/past.hpp"
#include "server/simulation/scenario.hpp"

#include <string>
#include <vector>

namespace fleet::simulation {

/// What a fleet's own last days say of it, and what they are too short for.
struct Learned {
  Scenario scenario;
  std::vector<std::string> from;     ///< "base: 31 of 2340 attempts failed", one a key that was learned
  std::vector<std::string> unknown;  ///< "offline_hours: no absence ended yet", one a key that stays as it was
};

/// A scenario of this fleet: `base` by attempts that had an outcome, `offline`, `offline_hours` and `day_night` by the hours in which its devices were
/// counted, `poll` by what they said. Mean absences are Little's law's: devices away, over absences that end in an hour.
/// @param scenario  what holds where the past says nothing
[[nodiscard]] Learned learn(rollout::Past const& past, Scenario scenario);

}  // namespace fleet::simulation
