#include "server/rollout/gates/compared.hpp"

#include "core/stats/odds_ratio.hpp"

#include <fmt/format.h>

namespace fleet::rollout {
namespace {

/// Of a comparison's alpha: so much for "not worse" among the first canaries, the rest for "at most half as much again" among all.
struct Split {
  double first, all;
};

/// More often than beside them, though it may be chance: from here on people are told.
constexpr double kNoticed = 3;

/// What the evidence comes to, for people.
std::string conclusion(GateVerdict const& verdict, bool by_all, std::string_view present) {
  if (verdict.e_value >= verdict.threshold) return fmt::format("canaries {} {} to be chance", present, by_all ? "more than half as often again, and too often" : "too often");
  return verdict.e_value >= kNoticed ? fmt::format("canaries {} more often, but that may be chance", present) : std::string("no sign that the release is worse");
}

/// The stronger of the two questions, in words that name what was seen in both arms.
GateVerdict compared(Case const& c, std::string const& name, What what, Split alpha, stats::Tally canary, stats::Tally control, BadWords const& words) {
  auto const first = worse(c.folded, what, &Compared::first, 1);
  auto const all = worse(c.folded, what, &Compared::all, kSlightlyWorse);
  bool const by_all = all.log_e + std::log(alpha.all) > first.log_e + std::log(alpha.first);
  auto out = harm_verdict(c, {name, by_all ? all : first, by_all ? alpha.all : alpha.first, canary.bad, {}});
  auto const codes = name == "failures" && canary.bad > 0 ? codes_text(c.facts) : std::string();
  auto seen = no_evidence_text(c.folded);
  if (seen.empty())
    seen = fmt::format("{} of {} {}{}, {} of {} controls did", canary.bad, canaries_text(canary.devices), words.past, codes.empty() ? codes : " (" + codes.substr(2) + ")",
                       control.bad, control.devices);
  auto const after = out.text;
  out.text = fmt::format("{}: {}", name, seen);
  if (c.folded.windows > 0) out.text += "; " + conclusion(out, by_all, words.present);
  out.text += after;
  out.evidence.insert(out.evidence.end(), {{"devices", static_cast<double>(canary.devices)},
                                           {"control_bad", static_cast<double>(control.bad)},
                                           {"control_devices", static_cast<double>(control.devices)},
                                           {"odds_ratio", by_all ? kSlightlyWorse : 1}});
  return out;
}

std::string detects(std::string_view name, double alpha, std::int64_t canaries, std::int64_t controls, std::span<double const> alternatives) {
  if (controls == 0) return {};
  // The share of canaries that must fail beside a control of one in a hundred.
  for (std::int64_t bad = 1; bad <= canaries; ++bad) {
    stats::Table const table{{bad, canaries}, {std::max<std::int64_t>(1, controls / 100), controls}};
    std::vector<double> sums;
    for (double const odds : alternatives) sums.push_back(stats::log_likelihood(table, odds));
    if (!stats::worse_than(alternatives, sums, 1, 0).reaches(1 / alpha)) continue;
    return fmt::format("{}: {} beside {} controls see 1 % become {}", name, canaries_text(canaries), controls,
                       percent_text(static_cast<double>(bad) / static_cast<double>(canaries)));
  }
  return fmt::format("{}: {} beside {} controls: too few to show harm, even if all canaries are bad", name, canaries_text(canaries), controls);
}

}  // namespace

bool failures_asked(Policy const& policy) { return policy.failures.has_value(); }

void judge_failures(Case const& c, std::vector<GateVerdict>& out) {
  auto const alpha = c.policy.failures->harm_alpha;
  out.push_back(compared(c, "failures", What::failures, {alpha * 3 / 4, alpha / 4}, c.folded.failed, c.folded.control_failed, {"fail", "failed"}));
  if (c.full || nothing_at_risk(c.facts)) return;
  if (auto safe = safe_compared(c, "failures", What::failures, c.folded.failed, {"fail", "failed"})) out.push_back(*std::move(safe));
}

std::string plan_failures(Policy const& policy, std::int64_t canaries, std::int64_t controls) {
  return detects("failures", policy.failures->harm_alpha * 3 / 4, canaries, controls, policy.failures->alternatives);
}

bool silent_asked(Policy const& policy) { return policy.silent.has_value(); }

void judge_silent(Case const& c, std::vector<GateVerdict>& out) {
  auto const& gate = *c.policy.silent;
  if (c.folded.controls > 0) {
    out.push_back(compared(c, "silent", What::silence, {gate.harm_alpha * 2 / 3, gate.harm_alpha / 3}, c.folded.silent, c.folded.control_silent, {"fall silent", "fell silent"}));
  } else {
    auto const tally = c.folded.silent;
    auto verdict = harm_verdict(c, {"silent", stats::harm(tally, gate.devices_max), gate.harm_alpha, tally.bad, {}});
    auto const none = no_evidence_text(c.folded);
    auto const seen = none.empty() ? fmt::format("{} of {} fell silent", tally.bad, devices_text(tally.devices)) : none;
    verdict.text = fmt::format("silent: {}; {}", seen, bound_text(verdict, tally, gate.devices_max)) + verdict.text;
    verdict.evidence.insert(verdict.evidence.end(), {{"devices", static_cast<double>(tally.devices)}, {"devices_max", gate.devices_max}});
    out.push_back(std::move(verdict));
  }
  if (c.full || nothing_at_risk(c.facts) || !c.policy.failures) return;
  if (auto safe = safe_compared(c, "silent", What::silence, c.folded.silent, {"fall silent", "fell silent"})) out.push_back(*std::move(safe));
}

std::string plan_silent(Policy const& policy, std::int64_t canaries, std::int64_t controls) {
  auto const& gate = *policy.silent;
  if (controls > 0) return detects("silent", gate.harm_alpha * 2 / 3, canaries, controls, policy.failures.value_or(FailuresGate{}).alternatives);
  auto const trips = stats::trips_at(canaries, gate.devices_max, gate.harm_alpha);
  return trips ? fmt::format("silent: more than {} silent shows from {} of {} on", percent_text(gate.devices_max), *trips, canaries_text(canaries))
               : fmt::format("silent: {} cannot show that more than {} are silent, it takes {}", canaries_text(canaries), percent_text(gate.devices_max),
                             needed_text(stats::harm_needs(gate.devices_max, gate.harm_alpha)));
}

}  // namespace fleet::rollout
