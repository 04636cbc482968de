#include "server/rollout/policy/policy.hpp"

#include "core/stats/absolute.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {

std::optional<Millis> RetryRule::pause_after(std::int64_t tries) const {
  if (tries >= attempts) return std::nullopt;
  auto out = backoff;
  for (std::int64_t i = 1; i < tries && out < backoff_max; ++i) out *= 2;
  return std::min(out, backoff_max);
}

std::optional<double> Policy::certify_at(int index) const {
  if (certify.empty()) return std::nullopt;
  return certify[std::min(static_cast<std::size_t>(index - 1), certify.size() - 1)];
}

std::optional<double> Policy::odds_ratio_at(int index) const {
  if (!failures || failures->max_odds_ratio.empty()) return std::nullopt;
  auto const& ratios = failures->max_odds_ratio;
  return ratios[std::min(static_cast<std::size_t>(index - 1), ratios.size() - 1)];
}

std::optional<SysTime> Policy::frozen_until(SysTime now) const {
  auto const frozen = std::find_if(freeze.begin(), freeze.end(), [&](Freeze const& one) { return one.from <= now && now < one.to; });
  return frozen == freeze.end() ? std::nullopt : std::optional(frozen->to);
}

bool Policy::reads_samples() const {
  return !metrics.empty() || drift || std::any_of(absolute.begin(), absolute.end(), [](AbsoluteGate const& gate) { return gate.metric != kInstallFailure; });
}

bool Policy::compares_metric(std::string_view name) const {
  return std::any_of(metrics.begin(), metrics.end(), [&](MetricGate const& gate) { return gate.name == name; }) ||
         (drift && std::find(drift->metrics.begin(), drift->metrics.end(), name) != drift->metrics.end());
}

double alpha_of(Policy const& policy, AbsoluteGate const& gate) {
  if (gate.alpha) return *gate.alpha;
  auto const sharing = std::count_if(policy.absolute.begin(), policy.absolute.end(), [](AbsoluteGate const& one) { return !one.alpha; });
  return alpha::kAbsolute / static_cast<double>(std::max<std::ptrdiff_t>(1, sharing));
}

double harm_budget(Policy const& policy) {
  double sum = 0;
  if (policy.failures) sum += policy.failures->harm_alpha;
  if (policy.silent) sum += policy.silent->harm_alpha;
  for (auto const& gate : policy.absolute) sum += alpha_of(policy, gate);
  if (!policy.metrics.empty()) sum += alpha::kMetrics;
  if (policy.drift) sum += alpha::kDrift;
  return sum;
}

std::string_view to_string(OnHarm action) { return action == OnHarm::rollback ? "rollback" : "pause"; }
std::string_view to_string(OnDeadline action) { return action == OnDeadline::rollback ? "rollback" : "pause"; }
std::string needed_text(std::optional<std::int64_t> devices) {
  return devices ? fmt::format("{}", *devices) : fmt::format("more than {}", stats::kDevicesMax);
}

std::string percent_text(double share) { return fmt::format("{:.3g} %", share * 100); }

}  // namespace fleet::rollout
