#include "server/rollout/gates/sanity.hpp"

#include "core/stats/odds_ratio.hpp"

#include <fmt/format.h>

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
  verdict.text = fmt::format("sanity: people took {} of {} out of the rollout, and {} of {} controls: what did they see?", folded.left,
                             canaries_text(folded.canaries), folded.control_left, folded.controls) + verdict.text;
  out.push_back(std::move(verdict));
}

}  // namespace

void judge_sanity(Case const& c, std::vector<GateVerdict>& out) { judge_left(c, out); }

}  // namespace fleet::rollout
