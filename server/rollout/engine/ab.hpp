#pragma once

#include "server/rollout/engine/step.hpp"

#include <string>
#include <string_view>

/// What a step does otherwise in a test of two releases. Pure.
namespace fleet::rollout {

/// Of a test: the share of its devices that is to get the rollout's release; 0 where the policy is none.
[[nodiscard]] double planned_share(Setting const& setting);

/// The step to which the other arm is told, in proportion to what has been told of the release's.
[[nodiscard]] int beside_in_test(Setting const& setting, int canaries);
/// Service time from which the open window may be judged: a test lets both releases run for a while first.
[[nodiscard]] Millis ripe_at(Setting const& setting, Progress const& progress);
/// The first gate that shows the other release to be the worse one; with `gate`, what that one says of it.
[[nodiscard]] GateVerdict const* win_of(Verdict const& verdict, std::string_view gate = {});
[[nodiscard]] std::string won_text(std::string_view release, GateVerdict const& by);
[[nodiscard]] std::string no_winner_text(Setting const& setting, Progress const& progress);
/// Harm of a test's release beside the other one is that one's win; where both break the same guard, nobody has won. Drift and sanity say nothing of it.
/// Returns the reason.
[[nodiscard]] std::string name_winner(Setting const& setting, Progress& progress, Verdict const& verdict, GateVerdict const& harm);
void end_test(Progress& progress, Verdict& verdict, Winner winner, std::string why);

}  // namespace fleet::rollout
