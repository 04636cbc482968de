#include "tests/simulation/rivals.hpp"

#include "tests/simulation/inputs.hpp"

#include <algorithm>

namespace fleet::simulation {
namespace {

constexpr double kThreshold = .02, kChiSquared = 6.634897;  ///< p .01 with one degree of freedom
constexpr std::int64_t kEnough = 100;

void blind(rollout::Policy& policy) {
  constexpr double kNever = 1e-200;
  policy.preset.clear();
  policy.absolute.clear();
  policy.metrics.clear();
  policy.drift.reset();
  policy.certify.clear();
  if (policy.failures) policy.failures->max_odds_ratio.clear();
  if (policy.failures) policy.failures->harm_alpha = kNever;
  if (policy.silent) policy.silent->harm_alpha = kNever;
}

bool by_threshold(Moment const& at, std::int64_t enough) {
  return at.canaries >= enough && static_cast<double>(at.canaries_bad) >= kThreshold * static_cast<double>(at.canaries);
}

/// Pearson's, without a correction; only where canaries fare worse.
bool by_chi_squared(Moment const& at) {
  double const a = static_cast<double>(at.canaries_bad), n = static_cast<double>(at.canaries), b = static_cast<double>(at.controls_bad), m = static_cast<double>(at.controls);
  double const bad = a + b, all = n + m;
  if (n == 0 || m == 0 || bad == 0 || bad == all || a * m <= b * n) return false;
  double const difference = a * (m - b) - b * (n - a);
  return all * difference * difference / (n * m * bad * (all - bad)) >= kChiSquared;
}

}  // namespace

Result<Rivals> judge_by_rivals(Study study, int jobs) {
  constexpr int kRuns = 300;
  blind(study.policy);
  study.runs = std::min(study.runs, kRuns);
  FLEET_TRY(auto const outcomes, run_all(study, jobs, Moments::all));
  auto const enough = std::min<std::int64_t>(kEnough, std::max(1, study.devices / 4));
  std::int64_t fixed = 0, chi_squared = 0;
  for (auto const& outcome : outcomes) {
    auto const any = [&](auto const& rule) { return std::any_of(outcome.moments.begin(), outcome.moments.end(), rule); };
    fixed += any([&](Moment const& at) { return by_threshold(at, enough); });
    chi_squared += any(by_chi_squared);
  }
  auto const runs = static_cast<double>(study.runs);
  return Rivals{static_cast<double>(fixed) / runs, static_cast<double>(chi_squared) / runs};
}

}  // namespace fleet::simulation
