#pragma once

#include "server/rollout/gates/gate.hpp"

/// Gate `sanity`: is the experiment what it was planned to be? It pauses and says what is wrong with it; never a verdict on the release.
namespace fleet::rollout {

void judge_sanity(Case const& c, std::vector<GateVerdict>& out);

}  // namespace fleet::rollout
