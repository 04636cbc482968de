#include "server/rollout/engine/rollout.hpp"

namespace fleet::rollout {

void show_stage(Rollout& rollout, int stage, Instant now) {
  rollout.stage = stage;
  rollout.baking = false;
  rollout.stage_since = now.wall;
  rollout.bake_since = std::nullopt;
  rollout.deadline = rollout.progress.deadline ? std::optional(now.wall + (*rollout.progress.deadline - now.service)) : std::nullopt;
}

void await_beginning(Rollout& rollout) {
  rollout.stage = 1;
  rollout.baking = false;
  rollout.stage_since = rollout.bake_since = rollout.deadline = std::nullopt;
  rollout.progress = {};
}

}  // namespace fleet::rollout
