#include "server/rollout/gates/compared.hpp"

#include "core/stats/odds_ratio.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fleet::rollout {
namespace {

/// Of a comparison's alpha: so much for "not worse" among the first canaries, the rest for "at most half as much again" among all. Where there are strata
/// these take half of the rest.
struct Split {
  double first, all, stratum;
};
Split split_of(Policy const& policy, Folded const& folded, What what) {
  bool const parted = folded.parts > 1;
  bool const failures = what == What::failures;
  double const alpha = failures ? policy.failures.value_or(FailuresGate{}).harm_alpha : policy.silent.value_or(SilentGate{}).harm_alpha;
  double const first = failures ? alpha * 3 / 4 : alpha * 2 / 3, rest = alpha - first;
  return {first, parted ? rest / 2 : rest, rest / 2};
}
bool is_asked(Policy const& policy, What what) { return what == What::failures ? policy.failures.has_value() : policy.silent.has_value(); }

/// More often than beside them, though it may be chance: from here on people are told.
constexpr double kNoticed = 3;

/// What the evidence comes to, for people.
std::string conclusion(ArmWords const& words, GateVerdict const& verdict, bool by_all, std::string_view present) {
  if (verdict.e_value >= verdict.threshold) return fmt::format("{} {} {} to be chance", words.many, present, by_all ? "more than half as often again, and too often" : "too often");
  return verdict.e_value >= kNoticed ? fmt::format("{} {} more often, but that may be chance", words.many, present) : fmt::format("no sign that {} is worse", words.release);
}

/// The stronger of the two questions, in words that name what was seen in both arms.
GateVerdict compared(Case const& c, std::string const& name, What what, Split alpha, Seen const& both, BadWords const& words) {
  auto const& [canary, control] = both;
  auto const first = worse(c.folded, what, &Compared::first, 1);
  auto const all = worse(c.folded, what, &Compared::all, kSlightlyWorse);
  bool const by_all = all.log_e + std::log(alpha.all) > first.log_e + std::log(alpha.first);
  auto out = harm_verdict(c, {name, by_all ? all : first, by_all ? alpha.all : alpha.first, canary.bad, {}});
  auto const codes = name == "failures" && canary.bad > 0 ? codes_text(c.facts) : std::string();
  std::string seen = "no window has been judged yet";
  if (c.folded.windows > 0)
    seen = fmt::format("{} of {} {}{}, {} of {} {} did", canary.bad, canaries_text(c, canary.devices), words.past, codes.empty() ? codes : " (" + codes.substr(2) + ")",
                       control.bad, control.devices, c.words.beside);
  auto const after = out.text;
  out.text = fmt::format("{}: {}", name, seen);
  if (c.folded.windows > 0) out.text += "; " + conclusion(c.words, out, by_all, words.present);
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
    stats::Table const table{{bad, canaries}, {std::llround(static_cast<double>(controls) / 100), controls}};
    std::vector<double> sums;
    for (double const odds : alternatives) sums.push_back(stats::log_likelihood(table, odds));
    if (!stats::worse_than(alternatives, sums, 1, 0).reaches(1 / alpha)) continue;
    return fmt::format("{}: {} beside {} controls see 1 % become {}", name, canaries_text(canaries), controls,
                       percent_text(static_cast<double>(bad) / static_cast<double>(canaries)));
  }
  return fmt::format("{}: {} beside {} controls: too few to show harm, even if all canaries are bad", name, canaries_text(canaries), controls);
}

/// What all windows together have shown of one question: its log-evidence over what it needs; above 0 it is shown.
double shown(Split const& alpha, Folded const& folded, What what) {
  return std::max(worse(folded, what, &Compared::first, 1).log_e + std::log(alpha.first), worse(folded, what, &Compared::all, kSlightlyWorse).log_e + std::log(alpha.all));
}

stats::Tally bad_of(Tallies const& tallies, What what) { return tallies.seen[static_cast<std::size_t>(what)].canary; }

/// Canaries of one stratum are bad more often than those of the others: 20 to one, for each that it might have been.
bool differs(Folded const& folded, std::string_view stratum, What what) {
  constexpr double kDiffers = 20;
  auto const here = bad_of(folded.by_stratum.find(stratum)->second, what), all = bad_of(folded, what);
  auto const alternatives = FailuresGate{}.alternatives;
  std::vector<double> sums;
  for (double const odds : alternatives) sums.push_back(stats::log_likelihood({here, {all.bad - here.bad, all.devices - here.devices}}, odds));
  return stats::worse_than(alternatives, sums, 1, 0).reaches(kDiffers * static_cast<double>(folded.parts));
}

}  // namespace

std::optional<std::string> ill_stratum(Policy const& policy, Folded const& folded) {
  if (folded.parts < 2 || folded.by_stratum.size() < folded.strata.size()) return std::nullopt;  // an earlier server's windows are not told apart
  for (auto const what : kWhats) {
    if (!is_asked(policy, what)) continue;
    auto const alpha = split_of(policy, folded, what);
    bool const all_show = folded.strata.size() > 1 && shown(alpha, folded, what) >= 0;
    for (auto const& [stratum, compared] : folded.strata) {
      if (!all_show && worse_in(folded, stratum, what).reaches(static_cast<double>(folded.parts) / alpha.stratum)) return stratum;
      if (!all_show || !differs(folded, stratum, what)) continue;
      auto const others = without(folded, stratum);
      if (worse(others, what, &Compared::first, 1).log_e < std::log(kNoticed) && worse(others, what, &Compared::all, kSlightlyWorse).log_e < std::log(kNoticed)) return stratum;
    }
  }
  return std::nullopt;
}

bool failures_asked(Policy const& policy) { return policy.failures.has_value(); }

void judge_failures(Case const& c, std::vector<GateVerdict>& out) {
  out.push_back(compared(c, "failures", What::failures, split_of(c.policy, c.folded, What::failures), c.folded.seen[0], {"fail", "failed"}));
  if (c.full || nothing_at_risk(c.facts)) return;
  if (auto safe = safe_compared(c, "failures", What::failures, c.folded.failed, {"fail", "failed"})) out.push_back(*std::move(safe));
}

std::string plan_failures(Policy const& policy, std::int64_t canaries, std::int64_t controls) {
  return detects("failures", policy.failures->harm_alpha * part_of_alpha(policy) * 3 / 4, canaries, controls, policy.failures->alternatives);
}

bool silent_asked(Policy const& policy) { return policy.silent.has_value(); }

void judge_silent(Case const& c, std::vector<GateVerdict>& out) {
  auto const& gate = *c.policy.silent;
  if (c.folded.controls > 0) {
    out.push_back(compared(c, "silent", What::silence, split_of(c.policy, c.folded, What::silence), c.folded.seen[1], {"fall silent", "fell silent"}));
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
  if (controls > 0) return detects("silent", gate.harm_alpha * part_of_alpha(policy) * 2 / 3, canaries, controls, policy.failures.value_or(FailuresGate{}).alternatives);
  auto const trips = stats::trips_at(canaries, gate.devices_max, gate.harm_alpha);
  return trips ? fmt::format("silent: more than {} silent shows from {} of {} on", percent_text(gate.devices_max), *trips, canaries_text(canaries))
               : fmt::format("silent: {} cannot show that more than {} are silent, it takes {}", canaries_text(canaries), percent_text(gate.devices_max),
                             needed_text(stats::harm_needs(gate.devices_max, gate.harm_alpha)));
}

}  // namespace fleet::rollout
