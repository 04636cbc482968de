#pragma once

#include <cstdint>
#include <vector>

namespace fleet::rollout {

/// How a fleet kept in touch in one hour.
struct PastHour {
  std::int64_t hour = 0;  ///< since 1970, UTC
  std::int64_t devices = 0, away = 0;
  std::int64_t returned = 0;  ///< absences that ended
};

/// What the fleet did of late: simulations take it for what it will do.
struct Past {
  std::vector<PastHour> hours;             ///< in their order; none while this server did not hear its fleet
  std::int64_t attempts = 0, failed = 0;   ///< with an outcome, of releases that were not bad: controls, and canaries of what completed
  std::int64_t devices = 0;                ///< active now
  std::int64_t poll_every_s = 0;           ///< mean; 0: unknown
};

}  // namespace fleet::rollout
