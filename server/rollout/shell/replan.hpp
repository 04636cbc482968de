#pragma once

#include "server/rollout/shell/record.hpp"

/// A plan is of the fleet that it was made over. Where that has changed by the time the first stage begins it is made anew, in the background and before
/// any device is told; from then on sizes stand.
namespace fleet::rollout {

/// Cheap: compares a counter. False where people approved the first stage: what they saw is what is done.
/// @param now  a rollout that was made this moment is as new as can be, also where its selector asks what devices run
[[nodiscard]] Result<bool> plan_is_old(db::Connection& reader, Rollout const& rollout, SysTime now);
/// Scans the fleet and writes the ladder, and of a preset its policy, where nobody touched the rollout meanwhile.
/// @returns whether it wrote: where somebody was faster the ladder is the old one still
/// @errors as plan (planner.hpp)
[[nodiscard]] Result<bool> replan(store::Store& store, Rollout const& rollout, SysTime now);

}  // namespace fleet::rollout
