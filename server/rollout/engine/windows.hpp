#pragma once

#include "server/rollout/engine/step.hpp"

/// Windows: how far one reaches, and when it is shut and can be judged. Pure; `step.cpp` moves them.
namespace fleet::rollout {

/// Of the ladder: a stage's size, and how far its windows go on while evidence is missing.
struct Steps {
  int size, cap;
};
[[nodiscard]] Steps steps_of(Setting const& setting, int stage, bool full);
/// Devices in all, at a step.
[[nodiscard]] std::int64_t count_at(Ladder const& ladder, int step);
/// Devices of a stage's first window where the stage has `devices`: what the policy names; otherwise the whole stage, of a test a share of its arm.
[[nodiscard]] std::int64_t first_window(Policy const& policy, StageSpec const& spec, std::int64_t devices);
/// Thresholds are shares, so that a fleet which grows has larger windows. Of who came since the plan, beyond what the rollout would have told by now, so many
/// may be at work: a first window of the stage, or half of what has shown to be healthy. Who waits and has not started takes no room.
[[nodiscard]] std::int64_t beyond_plan(Setting const& setting, Standing const& standing, Facts const& facts);
/// Opens the next window of a stage.
void open_window(Setting const& setting, Progress& progress, int stage, bool full, Millis service);
/// One arm of all strata: who started, and who of them has no outcome.
[[nodiscard]] Cell sum_arm(WindowCounts const& window, std::size_t arm);
/// Whether nobody else can be expected to start in this window. One that nobody started in stays open, unless all its devices were told and none is on its
/// way: they ran the release before, or failed before they started.
[[nodiscard]] bool may_shut(Setting const& setting, Progress const& progress, Look const& look);
[[nodiscard]] bool is_complete(Facts const& facts);
/// What counts of a window: strata that are part of the rollout.
[[nodiscard]] WindowCounts counted(Progress const& progress, WindowCounts window);
/// How long a window waits for what its members measured; one hour at most.
[[nodiscard]] Millis samples_due(Facts const& facts);
/// Whether that had its time to come: a report interval after the last of them had its outcome.
[[nodiscard]] bool samples_came(Setting const& setting, Progress const& progress, Look const& look);

}  // namespace fleet::rollout
