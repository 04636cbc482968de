#include "server/rollout/gates/absolute.hpp"

#include "core/stats/odds_ratio.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace {

GateVerdict guard(Case const& c, std::string const& name, stats::Tally tally, double p0, double alpha, std::string_view found) {
  auto out = harm_verdict(c, {name, stats::harm(tally, p0), alpha, tally.bad, {}});
  auto const after = out.text;
  out.text = fmt::format("{}: {}; {}", name == kInstallFailure ? "failures" : name, found, bound_text(out, tally, p0)) + after;
  out.evidence.insert(out.evidence.end(), {{"devices", static_cast<double>(tally.devices)}, {"devices_max", p0}});
  return out;
}

GateVerdict need(std::string name, double have, double want, std::string text) {
  bool const met = have >= want;
  return {std::move(name), "safe", met ? Ruling::promote : Ruling::hold, have, want, {{"have", have}, {"need", want}}, std::move(text)};
}

std::string bounds_text(AbsoluteGate const& gate) {
  if (gate.min && gate.max) return fmt::format("outside {:g} to {:g}", *gate.min, *gate.max);
  return gate.min ? fmt::format("below {:g}", *gate.min) : fmt::format("above {:g}", *gate.max);
}

/// Are canaries outside the bound more often than controls that have sent as much?
bool exceeds_control(MetricTally const& tally) {
  constexpr double kBound = 20 * static_cast<double>(kAges.size());
  auto const alternatives = FailuresGate{}.alternatives;
  return std::any_of(tally.aged.begin(), tally.aged.end(), [&](MetricTally::Arms const& arms) {
    std::vector<double> sums;
    for (double const odds : alternatives) sums.push_back(stats::log_likelihood({arms.canary, arms.control}, odds));
    return stats::worse_than(alternatives, sums, 1, 0).reaches(kBound);
  });
}

/// What a bound that was broken comes to beside control: controls break it, too, or they do not, or that is not known yet (true), because few have sent
/// as much as the canaries. Where there is none nobody can say that what ran before is within.
bool waits_for_control(MetricTally const& tally, AbsoluteGate const& gate, GateVerdict& verdict) {
  constexpr std::int64_t kEnough = 40;
  constexpr double kControlTrips = 20;
  if (verdict.decision == Ruling::hold || tally.control_seen == 0 || exceeds_control(tally)) return false;
  auto const aged = tally.aged.back().canary.devices;
  if (stats::harm({tally.control_bad, tally.control_seen}, gate.devices_max).reaches(kControlTrips) || aged >= std::min(kEnough, tally.seen)) {
    verdict.decision = Ruling::pause;
    verdict.text += "; but controls, which run what ran before, have, too: not shown to be the release's doing";
    return false;
  }
  verdict.decision = Ruling::hold;
  verdict.text += "; whether controls are better is known once they have sent as much";
  return true;
}

void judge_metric(Case const& c, AbsoluteGate const& gate, MetricTally const& tally, std::vector<GateVerdict>& out) {
  auto found = fmt::format("{} of {} have a mean {}", tally.bad, c.policy.ab ? canaries_text(c, tally.seen) : devices_text(tally.seen), bounds_text(gate));
  if (tally.control_seen > 0) found += fmt::format(", and of {} {} of {}", c.words.beside, tally.control_bad, tally.control_seen);
  auto verdict = guard(c, gate.metric, {tally.bad, tally.seen}, gate.devices_max, alpha_of(c.policy, gate), found);
  bool const waits = waits_for_control(tally, gate, verdict);
  out.push_back(std::move(verdict));
  if (c.full || nothing_at_risk(c.facts)) return;
  auto const share = c.facts.healthy == 0 || waits ? 0 : static_cast<double>(tally.covered) / static_cast<double>(c.facts.healthy);
  out.push_back(need("coverage " + gate.metric, share, kCoverage,
                     fmt::format("coverage: {} of {} healthy devices have sent enough samples of {} ({} each); {} must have", tally.covered, c.facts.healthy,
                                 gate.metric, gate.samples, percent_text(kCoverage)) +
                         (tally.flagged > 0 ? fmt::format("; samples of {} are flagged, and count for nothing", devices_text(tally.flagged)) : std::string())));
}

}  // namespace

void judge_golden(Case const& c, std::vector<GateVerdict>& out) {
  auto const tally = c.folded.golden;
  if (tally.bad == 0) return;
  out.push_back(guard(c, "golden", tally, kGoldenShare, kAlphaAbsolute, fmt::format("{} of {} failed the release's own golden test{}", tally.bad, devices_text(tally.devices), codes_text(c.facts))));
}

bool absolute_asked(Policy const& policy) { return !policy.absolute.empty(); }

void judge_absolute(Case const& c, std::vector<GateVerdict>& out) {
  for (std::size_t i = 0; i < c.policy.absolute.size(); ++i) {
    auto const& gate = c.policy.absolute[i];
    if (gate.metric != kInstallFailure) {
      judge_metric(c, gate, i < c.facts.metrics.size() ? c.facts.metrics[i] : MetricTally{}, out);
      continue;
    }
    auto tally = c.folded.failed;
    tally = {tally.bad + c.facts.install_failed, tally.devices + c.facts.install_failed};
    auto const none = no_evidence_text(c.folded);
    auto const found = none.empty() || c.facts.install_failed > 0 ? fmt::format("{} of {} failed{}", tally.bad, tally.devices, tally.bad > 0 ? codes_text(c.facts) : std::string()) : none;
    out.push_back(guard(c, gate.metric, tally, gate.devices_max, alpha_of(c.policy, gate), found));
  }
}

std::string plan_absolute(Policy const& policy, std::int64_t canaries, std::int64_t) {
  std::string out;
  for (auto const& gate : policy.absolute) {
    auto const alpha = alpha_of(policy, gate) * part_of_alpha(policy);
    auto const trips = stats::trips_at(canaries, gate.devices_max, alpha);
    if (!out.empty()) out += "; ";
    auto const what = gate.metric == kInstallFailure ? std::string("failures, whatever controls do") : gate.metric;
    if (trips) out += fmt::format("{}: more than {} bad shows from {} of {} on", what, percent_text(gate.devices_max), *trips, canaries_text(canaries));
    else
      out += fmt::format("{}: {} cannot show that more than {} are bad, it takes {} bad ones", what, canaries_text(canaries), percent_text(gate.devices_max),
                         needed_text(stats::harm_needs(gate.devices_max, alpha)));
  }
  return out;
}

/// Beside the gate on failures a share is another way to the same evidence (safe_compared); alone it is about all that went wrong.
bool certify_asked(Policy const& policy) { return !policy.certify.empty() && !policy.failures; }

void judge_certify(Case const& c, std::vector<GateVerdict>& out) {
  auto const bound = c.policy.certify_at(c.stage);
  if (!bound || c.full || nothing_at_risk(c.facts)) return;
  auto tally = c.folded.silent;
  tally.bad += c.folded.failed.bad + c.folded.left;
  tally.devices += c.folded.left;
  for (auto const& metric : c.facts.metrics) tally.bad += metric.bad;
  tally.bad = std::min(tally.bad, tally.devices);
  auto verdict = safe_verdict("certify", stats::certify(tally, *bound), c.policy.certify_evidence, "");
  verdict.evidence = {{"bad", static_cast<double>(tally.bad)}, {"devices", static_cast<double>(tally.devices)}, {"devices_max", *bound}};
  bool const enough = verdict.decision == Ruling::promote;
  verdict.text = fmt::format("certify: {} of {} are bad; {} to say that fewer than {} are", tally.bad, devices_text(tally.devices), enough ? "enough" : "not enough yet",
                             percent_text(*bound));
  if (!enough && tally.bad == 0) verdict.text += fmt::format(": that takes {} healthy ones", needed_text(stats::certify_needs(*bound, c.policy.certify_evidence)));
  out.push_back(std::move(verdict));
}

void judge_min_devices(Case const& c, std::vector<GateVerdict>& out) {
  if (nothing_at_risk(c.facts)) {
    out.push_back(need("min_devices", 0, 0, fmt::format("{} of this stage, and all run the release already", devices_text(c.facts.there))));
    return;
  }
  auto const wanted = c.full ? 0 : c.policy.stage(c.stage).min_devices;
  auto const least = std::max<std::int64_t>(wanted, 1);  // no data is never good news
  out.push_back(need("min_devices", static_cast<double>(c.facts.decided), static_cast<double>(least),
                     fmt::format("{} decided, at least {} must be", devices_text(c.facts.decided), least)));
}

}  // namespace fleet::rollout
