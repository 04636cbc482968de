#pragma once

#include "server/rollout/engine/verdict_json.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What goes on now, in numbers: for who watches from outside (/metrics).
namespace fleet::rollout {

/// The newest so many are told: each is some twenty series at the one who watches.
inline constexpr int kLiveTold = 100;

/// A live rollout as `rollout get` shows it.
struct LiveRollout {
  std::string id, model, version, state;
  std::int64_t stage = 0;  ///< 0: not started
  std::optional<SysTime> stage_since, deadline;
  std::int64_t healthy = 0, failed = 0, silent = 0;  ///< what devices that were told came to at first
  std::int64_t undecided = 0;                        ///< came to nothing yet
  std::vector<Nearness> gates;
};

/// The newest kLiveTold, newest first. Reads kept counts and verdicts: nothing of it grows with the fleet.
[[nodiscard]] Result<std::vector<LiveRollout>> list_live(db::Connection& reader);

}  // namespace fleet::rollout
