#include "server/rollout/engine/rollout.hpp"

namespace fleet::rollout {

void enter_stage(Rollout& rollout, int stage, SysTime now) {
  rollout.stage = stage;
  rollout.baking = false;
  rollout.stage_since = now;
  rollout.bake_since = std::nullopt;
  auto const limit = rollout.policy.stage(stage).deadline;
  rollout.deadline = limit > Millis{0} ? std::optional(now + limit) : std::nullopt;
}

void await_predecessor(Rollout& rollout) {
  rollout.stage = 1;
  rollout.baking = false;
  rollout.stage_since = rollout.bake_since = rollout.deadline = std::nullopt;
}

}  // namespace fleet::rollout
