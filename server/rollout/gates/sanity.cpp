#include "server/rollout/gates/sanity.hpp"

#include "core/stats/absolute.hpp"
#include "core/stats/balance.hpp"
#include "core/stats/odds_ratio.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

namespace fleet::rollout {
namespace {

constexpr double kBound = 1'000;

/// More canaries than controls left by people's hands, of those who had started: a release that bricks what people then retire would pass else.
void judge_left(Case const& c, std::vector<GateVerdict>& out) {
  auto const& folded = c.folded;
  if (folded.left == 0 || folded.controls == 0) return;
  stats::Table const table{{folded.left, folded.canaries}, {folded.control_left, folded.controls}};
  auto const alternatives = FailuresGate{}.alternatives;
  std::vector<double> sums;
  for (double const odds : alternatives) sums.push_back(stats::log_likelihood(table, odds));
  auto const evidence = stats::worse_than(alternatives, sums, 1, 0);
  auto verdict = harm_verdict(c, {"sanity", evidence, 1 / kBound, folded.left, {}});
  if (verdict.decision != Ruling::hold) verdict.decision = Ruling::pause;
  verdict.text = fmt::format("sanity: people took {} of {} out of the rollout, and {} of {} {}: what did they see?", folded.left,
                             canaries_text(c, folded.canaries), folded.control_left, folded.controls, c.words.beside) + verdict.text;
  out.push_back(std::move(verdict));
}

/// The arms of a test are of sizes that were planned, and told alike: where far fewer of one start, those that did are no fair sample of it. Of canaries and
/// controls that is not so: who runs nothing of the model cannot prove, and downloads hold canaries alone (docs/adr/0041).
void judge_sizes(Case const& c, std::vector<GateVerdict>& out) {
  auto const& folded = c.folded;
  auto const all = folded.canaries + folded.controls;
  if (c.planned <= 0 || c.planned >= 1 || all == 0) return;
  auto const evidence = stats::imbalance({folded.canaries, folded.controls}, c.planned);
  auto const wanted = static_cast<double>(all) * c.planned;
  auto verdict = harm_verdict(c, {"sanity sizes", evidence, 1 / stats::kImbalanceBound, std::llabs(folded.canaries - std::llround(wanted)), {}});
  if (verdict.decision != Ruling::hold) verdict.decision = Ruling::pause;
  verdict.text = fmt::format("sanity: {} and {} {} started, of which {} should have been the first: what keeps the others?", canaries_text(c, folded.canaries), folded.controls,
                             c.words.beside, percent_text(c.planned)) + verdict.text;
  out.push_back(std::move(verdict));
}

/// A part of the fleet that nobody has started in says nothing about the release, however well the others do. It holds the stage, and pauses at its deadline:
/// devices that sleep come back, and those that do not are for a person to see.
void judge_unseen(Case const& c, std::vector<GateVerdict>& out) {
  constexpr double kFewer = 4;  ///< than so many times fewer than its share would be
  if (c.sizes == nullptr || c.sizes->size() < 2 || c.full || nothing_at_risk(c.facts)) return;
  double all = 0;
  for (auto const& [stratum, devices] : *c.sizes) all += static_cast<double>(devices);
  for (auto const& [stratum, devices] : *c.sizes) {
    auto const seen = c.folded.by_stratum.find(stratum);
    auto const canaries = seen == c.folded.by_stratum.end() ? 0 : seen->second.canaries;
    if (canaries > 0 || devices == 0) continue;
    double const share = static_cast<double>(devices) / all;
    auto const fewer = stats::certify({0, c.folded.canaries}, share / kFewer);
    if (!fewer.reaches(kBound)) continue;
    out.push_back({"sanity", "safe", Ruling::hold, fewer.e_value(), kBound, {{"canaries", static_cast<double>(c.folded.canaries)}, {"share", share}},
                   fmt::format("sanity: none of {} is of stratum {}, which is {} of the fleet: do its devices report?", canaries_text(c.folded.canaries), stratum, percent_text(share))});
    return;
  }
}

/// Sensors that count for nothing are no evidence, good or bad: so a release that breaks them would be judged by nobody. Where they are flagged with canaries
/// more often than with controls, somebody looks.
void judge_flagged(Case const& c, std::vector<GateVerdict>& out) {
  auto const alternatives = FailuresGate{}.alternatives;
  for (std::size_t i = 0; i < c.facts.metrics.size() && i < c.policy.absolute.size(); ++i) {
    auto const& tally = c.facts.metrics[i];
    if (tally.flagged == 0 || tally.control_heard == 0) continue;
    stats::Table const table{{tally.flagged, tally.heard}, {tally.control_flagged, tally.control_heard}};
    std::vector<double> sums;
    for (double const odds : alternatives) sums.push_back(stats::log_likelihood(table, odds));
    auto const& metric = c.policy.absolute[i].metric;
    auto verdict = harm_verdict(c, {"sanity " + metric, stats::worse_than(alternatives, sums, 1, 0), 1 / kBound, tally.flagged, {}});
    if (verdict.decision != Ruling::hold) verdict.decision = Ruling::pause;
    verdict.text = fmt::format("sanity: samples of {} are flagged (stuck, out of range, missing or of a clock that is off) with {} of {}, and with {} of {} {}: does the release break what measures?",
                               metric, tally.flagged, canaries_text(c, tally.heard), tally.control_flagged, tally.control_heard, c.words.beside) + verdict.text;
    out.push_back(std::move(verdict));
  }
}

}  // namespace

void judge_sanity(Case const& c, std::vector<GateVerdict>& out) {
  judge_left(c, out);
  judge_sizes(c, out);
  judge_unseen(c, out);
  judge_flagged(c, out);
}

}  // namespace fleet::rollout
