#pragma once

#include "server/rollout/gates/gate.hpp"

/// Gates on shares of devices, without comparison: `golden`, `absolute`, `certify`, `min_devices`.
namespace fleet::rollout {

void judge_golden(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] bool absolute_asked(Policy const& policy);
void judge_absolute(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_absolute(Policy const& policy, std::int64_t canaries, std::int64_t controls);
[[nodiscard]] bool certify_asked(Policy const& policy);
void judge_certify(Case const& c, std::vector<GateVerdict>& out);
void judge_min_devices(Case const& c, std::vector<GateVerdict>& out);

}  // namespace fleet::rollout
