#pragma once

#include "server/rollout/gates/gate.hpp"

/// Gates `metrics` and `drift`: what canaries measure, beside their own matched controls. Windows are folded into wealths, one set a metric.
namespace fleet::rollout {

/// Takes in what the members of a window measured; to be called once for each, when it is judged.
/// @param window  the window that is judged, as fold() gets it
void fold_measured(Folded& folded, Policy const& policy, WindowCounts const& window, Measured const& measured);

[[nodiscard]] bool metrics_asked(Policy const& policy);
void judge_metrics(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_metrics(Policy const& policy, std::int64_t canaries, std::int64_t controls);

[[nodiscard]] bool drift_asked(Policy const& policy);
void judge_drift(Case const& c, std::vector<GateVerdict>& out);
[[nodiscard]] std::string plan_drift(Policy const& policy, std::int64_t canaries, std::int64_t controls);

}  // namespace fleet::rollout
