#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "server/rollout/engine/membership.hpp"
#include "server/rollout/gates/evidence.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fleet::rollout {

/// Which release of a test is the better one.
enum class Winner {
  open,  ///< not known yet
  a,     ///< the rollout's
  b,     ///< the one it is tested against
  none,  ///< no difference was shown
};
inline constexpr auto kWinnerNames = std::to_array<std::string_view>({"", "A", "B", "none"});
[[nodiscard]] constexpr std::string_view to_string(Winner winner) { return kWinnerNames[static_cast<std::size_t>(winner)]; }

/// Where a rollout's windows stand and what they have shown: the engine's state. Times are of service: time during which this server was up and
/// heard devices (docs/statistics.md). Its size does not depend on the fleet's.
struct Progress {
  int window = 0;      ///< the last that was opened; 0: none yet
  bool shut = false;   ///< who starts now belongs to the next window
  bool judged = true;  ///< `window` was folded
  Millis opened{0};
  int stage = 0;       ///< that its windows are of; a verb that widens leaves it to the next step to enter the new one
  bool full = false;   ///< all that were left were told at once
  int in_stage = 0;    ///< windows of this stage so far
  int canaries = 0, controls = 0;  ///< steps of the ladder: canaries are below the first, controls between the two; in a test from its split on to the second
  Winner winner = Winner::open;    ///< of a test
  bool waived = false;             ///< a person had it begin, although the rollout that it comes after ended otherwise than completed
  std::optional<Millis> stage_since, bake_since, deadline;
  std::optional<Millis> complete_since;  ///< all who started in the open window have their outcome; what they measured may be on its way
  std::int64_t installs_seen = 0;        ///< of Facts::install_failed, when the last window was judged
  std::set<std::string, std::less<>> quarantined;  ///< strata that are told nothing more
  Folded folded;
  bool operator==(Progress const&) const = default;

  /// The window that a device which starts now belongs to.
  [[nodiscard]] int current() const { return shut || window == 0 ? window + 1 : window; }
};

/// For the row of the rollout. @errors corrupt
[[nodiscard]] std::string encode(Progress const& progress);
[[nodiscard]] Result<Progress> decode_progress(std::string_view json);

}  // namespace fleet::rollout
