#pragma once

#include "server/rollout/gates/gate.hpp"

/// Gate `first`: every device so far is bad. In a fleet of a few that is all that can be seen, and no share or comparison can show it: it pauses.
namespace fleet::rollout {

[[nodiscard]] bool first_asked(Policy const& policy);
void judge_first(Case const& c, std::vector<GateVerdict>& out);

}  // namespace fleet::rollout
