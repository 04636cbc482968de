#pragma once

#include "server/rollout/gates/gate.hpp"

#include <optional>
#include <string>

/// Gates `failures` and `silent`: canaries beside controls, by the odds ratio; without control, silence by a share of devices.
namespace fleet::rollout {

/// One stratum is worse alone: told nothing more, and no part of the rollout from then on. Nothing: none is. Where all strata together have shown harm it is
/// that one's if its canaries are worse than the others', and without it there is no sign of harm; where they have not, if its own windows have.
[[nodiscard]] std::optional<std::string> ill_stratum(Policy const& policy, Folded const& folded);

[[nodiscard]] bool failures_asked(Policy const& policy);
void judge_failures(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_failures(Policy const& policy, std::int64_t canaries, std::int64_t controls);

[[nodiscard]] bool silent_asked(Policy const& policy);
void judge_silent(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_silent(Policy const& policy, std::int64_t canaries, std::int64_t controls);

}  // namespace fleet::rollout
