#include "server/rollout/engine/rollout.hpp"

namespace fleet::rollout {

Against Rollout::shipped(Arm arm) const { return is_of_release(arm) ? Against{release_n, version, digest, document_bytes, release_state} : *against; }

void enter_stage(Rollout& rollout, int stage, SysTime now) {
  rollout.stage = stage;
  rollout.baking = false;
  rollout.stage_since = now;
  rollout.bake_since = std::nullopt;
  auto const limit = rollout.policy.stage(stage).deadline;
  rollout.deadline = limit > Millis{0} ? std::optional(now + limit) : std::nullopt;
}

void await_beginning(Rollout& rollout) {
  rollout.stage = 1;
  rollout.baking = false;
  rollout.stage_since = rollout.bake_since = rollout.deadline = std::nullopt;
}

void show_times(Rollout& rollout, Instant now) {
  auto const& progress = rollout.progress;
  auto const on_wall = [&](std::optional<Millis> at) { return at ? std::optional(now.wall + (*at - now.service)) : std::nullopt; };
  rollout.baking = progress.bake_since.has_value();
  if (!rollout.bake_since || !rollout.baking) rollout.bake_since = on_wall(progress.bake_since);
  rollout.deadline = on_wall(progress.deadline);
}

}  // namespace fleet::rollout
