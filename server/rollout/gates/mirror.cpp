#include "server/rollout/gates/mirror.hpp"

#include <fmt/format.h>

#include <utility>

namespace fleet::rollout {
namespace {

/// Sums at the reciprocals: the list of odds holds each with its own, so that its order turned round is theirs.
Sums turned(Sums const& sums) { return {sums.rbegin(), sums.rend()}; }

}  // namespace

ArmWords words_of(std::string_view release, std::string_view beside) {
  return {fmt::format("device on {}", release), fmt::format("devices on {}", release), fmt::format("devices on {}", beside), std::string(release)};
}

Folded mirrored(Folded const& folded) {
  auto out = folded;
  for (auto& [stratum, both] : out.strata)
    for (auto& compared : both) compared = {turned(compared.first), turned(compared.all), turned(compared.calm)};
  std::swap(out.canaries, out.controls);
  std::swap(out.failed, out.control_failed);
  std::swap(out.silent, out.control_silent);
  std::swap(out.golden, out.control_golden);
  for (auto& seen : out.seen) std::swap(seen.canary, seen.control);
  std::swap(out.left, out.control_left);
  std::swap(out.metrics, out.metrics_against);
  return out;
}

Facts mirrored(Facts const& facts) {
  auto out = facts;
  std::swap(out.install_failed, out.beside_install_failed);
  out.failures.clear();  // of the rollout's release
  for (auto& metric : out.metrics) {
    std::swap(metric.bad, metric.control_bad);
    std::swap(metric.seen, metric.control_seen);
    std::swap(metric.heard, metric.control_heard);
    std::swap(metric.flagged, metric.control_flagged);
    for (auto& arms : metric.aged) std::swap(arms.canary, arms.control);
  }
  return out;
}

bool tells_worse(GateVerdict const& verdict) { return verdict.test == "harm" && !verdict.name.starts_with("sanity") && !verdict.name.starts_with("drift"); }

bool wins(GateVerdict& verdict) {
  if (!tells_worse(verdict)) return false;
  bool const shown = verdict.decision == Ruling::rollback || (verdict.decision == Ruling::pause && verdict.e_value >= verdict.threshold);
  verdict.test = "win";
  verdict.decision = shown ? Ruling::promote : Ruling::hold;
  return true;
}

}  // namespace fleet::rollout
