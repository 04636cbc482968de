#include "server/rollout/gates/evidence.hpp"

#include "core/stats/odds_ratio.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

namespace fleet::rollout {
namespace {

/// Alternatives that promotion looks at: as good as before, or nearly.
constexpr auto kGood = std::to_array<double>({.7, 1, 1.4});

/// Odds ratios that are closer, as a share, are one: 1 / (1 / 49) is not 49 to the bit.
constexpr double kSameOdds = 1e-9;

/// Each with its reciprocal, in order: turned round it is the same list for the exchanged arms.
std::vector<double> both_ways(std::vector<double> const& odds) {
  std::vector<double> above;
  for (double const one : odds) above.push_back(std::max(one, 1 / one));
  std::sort(above.begin(), above.end());
  above.erase(std::unique(above.begin(), above.end(), [](double a, double b) { return b - a < kSameOdds / 2 * a; }), above.end());
  if (!above.empty() && above.front() == 1) above.erase(above.begin());
  std::vector<double> out;
  std::transform(above.rbegin(), above.rend(), std::back_inserter(out), [](double one) { return 1 / one; });
  out.push_back(1);
  out.insert(out.end(), above.begin(), above.end());
  return out;
}

std::size_t index_of(Folded const& folded, double odds) {
  return static_cast<std::size_t>(std::lower_bound(folded.odds.begin(), folded.odds.end(), odds * (1 - kSameOdds)) - folded.odds.begin());
}

void add(Sums& sums, Folded const& folded, stats::Table const& table) {
  sums.resize(folded.odds.size());
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += stats::log_likelihood(table, folded.odds[i]);
}

bool is_storm(WindowCounts const& window) {
  stats::Tally failed, silent, failed_beside, silent_beside;
  for (auto const& [stratum, cells] : window) {
    failed_beside = {failed_beside.bad + cells[1].failed, failed_beside.devices + cells[1].started};
    silent_beside = {silent_beside.bad + cells[1].silent, silent_beside.devices + cells[1].started};
  }
  for (auto const& [stratum, cells] : window)
    for (auto const& cell : cells) {
      failed = {failed.bad + cell.failed, failed.devices + cell.started};
      silent = {silent.bad + cell.silent, silent.devices + cell.started};
    }
  auto const share = [](stats::Tally tally) { return tally.devices == 0 ? 0 : static_cast<double>(tally.bad) / static_cast<double>(tally.devices); };
  std::int64_t controls = 0;
  for (auto const& [stratum, cells] : window) controls += cells[1].started;
  // Canaries alone make no storm: their control must have met it, too.
  auto const many = [&](stats::Tally tally, stats::Tally beside, double most) { return tally.bad >= kStormDevices && share(tally) > most && share(beside) > most / 2; };
  return controls > 0 && (many(failed, failed_beside, kStormFailures) || many(silent, silent_beside, kStormSilence));
}

/// One direction of evidence of one stratum's sums, at the alternatives that `counts` names.
stats::LogEvidence evidence_of(Folded const& folded, Sums const& sums, double w0, bool harm) {
  if (sums.empty()) return {};
  auto const at_w0 = sums[index_of(folded, w0)];
  std::span<double const> const alternatives = harm ? std::span<double const>(folded.alternatives) : std::span<double const>(kGood);
  std::vector<double> at;
  for (double const odds : alternatives) at.push_back(sums[index_of(folded, odds)]);
  return harm ? stats::worse_than(alternatives, at, w0, at_w0) : stats::better_than(alternatives, at, w0, at_w0);
}

stats::LogEvidence over_strata(Folded const& folded, What what, Sums Compared::*which, double w0, bool harm) {
  Sums pooled(folded.odds.size(), 0);
  std::vector<double> own;
  for (auto const& [stratum, compared] : folded.strata) {
    auto const& sums = compared[static_cast<std::size_t>(what)].*which;
    if (sums.empty()) continue;
    for (std::size_t i = 0; i < pooled.size(); ++i) pooled[i] += sums[i];
    own.push_back(evidence_of(folded, sums, w0, harm).log_e);
  }
  if (own.empty()) return {};
  std::array<double, 2> const both{evidence_of(folded, pooled, w0, harm).log_e, stats::log_mean_exp(own)};
  return {stats::log_mean_exp(both)};
}

stats::Tally tally(std::int64_t bad, std::int64_t devices) { return {bad, devices}; }
void grow(stats::Tally& sum, std::int64_t bad, std::int64_t devices) { sum = {sum.bad + bad, sum.devices + devices}; }

/// Adds `more`, `times` of it: once, or less once.
void grow(Tallies& sum, Tallies const& more, int times) {
  auto const tallies = [&](stats::Tally& to, stats::Tally const& from) { grow(to, times * from.bad, times * from.devices); };
  sum.canaries += times * more.canaries;
  sum.controls += times * more.controls;
  sum.left += times * more.left;
  sum.control_left += times * more.control_left;
  tallies(sum.failed, more.failed);
  tallies(sum.silent, more.silent);
  tallies(sum.golden, more.golden);
  tallies(sum.control_failed, more.control_failed);
  tallies(sum.control_silent, more.control_silent);
  tallies(sum.control_golden, more.control_golden);
  for (std::size_t i = 0; i < sum.seen.size(); ++i) {
    tallies(sum.seen[i].canary, more.seen[i].canary);
    tallies(sum.seen[i].control, more.seen[i].control);
  }
}

}  // namespace

Arm parse_arm(std::string_view name) {
  auto const* const found = std::find_if(kArms.begin(), kArms.end(), [&](ArmRule const& rule) { return rule.name == name; });
  return found == kArms.end() ? Arm::canary : static_cast<Arm>(found - kArms.begin());
}

Folded fold_nothing(Policy const& policy) {
  Folded out;
  auto const gate = policy.failures.value_or(FailuresGate{});
  out.alternatives = gate.alternatives;
  out.odds.assign(kGood.begin(), kGood.end());
  out.odds.push_back(kSlightlyWorse);
  out.odds.insert(out.odds.end(), gate.alternatives.begin(), gate.alternatives.end());
  out.odds.insert(out.odds.end(), gate.max_odds_ratio.begin(), gate.max_odds_ratio.end());
  std::sort(out.odds.begin(), out.odds.end());
  out.odds.erase(std::unique(out.odds.begin(), out.odds.end()), out.odds.end());
  if (policy.ab) out.odds = both_ways(out.odds);
  return out;
}

void fold(Folded& folded, WindowCounts const& window) {
  bool const storm = is_storm(window);
  bool const first = folded.canaries < kFirstCanaries;
  ++folded.windows;
  folded.storms += storm;
  for (auto const& [stratum, cells] : window) {
    auto const& [canary, control] = cells;
    auto const stayed = canary.started - canary.left, control_stayed = control.started - control.left;
    auto const tested = stayed - canary.golden;  // a control runs no golden test, so that those who failed theirs are left out here
    auto const control_tested = control_stayed - control.golden;
    auto const put = [&](What what, stats::Table const& known, stats::Table const& worst) {
      auto& compared = folded.strata[stratum][static_cast<std::size_t>(what)];
      if (first) add(compared.first, folded, known);
      add(compared.all, folded, known);
      if (!storm) add(compared.calm, folded, worst);
    };
    auto const failed_control = tally(control.failed, control_tested), silent_control = tally(control.silent, control_stayed);
    put(What::failures, {tally(canary.failed, tested), failed_control}, {tally(canary.failed + canary.left, tested + canary.left), failed_control});
    put(What::silence, {tally(canary.silent, stayed), silent_control}, {tally(canary.silent + canary.left, canary.started), silent_control});
    Tallies here;
    here.canaries = canary.started;
    here.controls = control.started;
    here.left = canary.left;
    here.control_left = control.left;
    here.golden = tally(canary.golden, stayed);
    here.control_golden = tally(control.golden, control_stayed);
    here.seen = {Seen{tally(canary.failed, tested), failed_control}, Seen{tally(canary.silent, stayed), silent_control}};
    if (!storm) {
      here.failed = tally(canary.failed + canary.golden, stayed);
      here.silent = tally(canary.silent, stayed);
      here.control_failed = tally(control.failed + control.golden, control_stayed);
      here.control_silent = silent_control;
    }
    grow(folded, here, 1);
    auto const [of_stratum, fresh] = folded.by_stratum.try_emplace(stratum);
    folded.parts += fresh;
    grow(of_stratum->second, here, 1);
  }
}

void leave_out(Folded& folded, std::string_view stratum) {
  if (auto const found = folded.by_stratum.find(stratum); found != folded.by_stratum.end()) {
    grow(folded, found->second, -1);
    folded.by_stratum.erase(found);
  }
  if (auto const found = folded.strata.find(stratum); found != folded.strata.end()) folded.strata.erase(found);
}

Folded without(Folded folded, std::string_view stratum) {
  leave_out(folded, stratum);
  return folded;
}

void forget(Folded& folded) {
  Folded fresh;
  fresh.odds = std::move(folded.odds);
  fresh.alternatives = std::move(folded.alternatives);
  folded = std::move(fresh);
}

stats::LogEvidence worse(Folded const& folded, What what, Sums Compared::*sums, double than) { return over_strata(folded, what, sums, than, true); }

stats::LogEvidence better(Folded const& folded, What what, double than) { return over_strata(folded, what, &Compared::calm, than, false); }

stats::LogEvidence worse_in(Folded const& folded, std::string_view stratum, What what) {
  auto const found = folded.strata.find(stratum);
  if (found == folded.strata.end()) return {};
  return evidence_of(folded, found->second[static_cast<std::size_t>(what)].all, 1, true);
}

}  // namespace fleet::rollout
