#pragma once

#include "server/rollout/gates/gate.hpp"

/// Gates `failures` and `silent`: canaries beside controls, by the odds ratio; without control, silence by a share of devices.
namespace fleet::rollout {

[[nodiscard]] bool failures_asked(Policy const& policy);
void judge_failures(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_failures(Policy const& policy, std::int64_t canaries, std::int64_t controls);

[[nodiscard]] bool silent_asked(Policy const& policy);
void judge_silent(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_silent(Policy const& policy, std::int64_t canaries, std::int64_t controls);

}  // namespace fleet::rollout
