#include "core/stats/rank_gate.hpp"

#include <algorithm>
#include <utility>

namespace fleet::stats {

std::optional<double> rank_difference(double canary, std::span<double const> controls) {
  if (controls.empty()) return std::nullopt;
  double below = 0;
  for (double const control : controls) below += control < canary ? 1 : control == canary ? .5 : 0;
  return below / static_cast<double>(controls.size()) - .5;
}

std::optional<RankGate> RankGate::restored(double margin, std::vector<double> logs) {
  if (logs.size() != kBets.size()) return std::nullopt;
  RankGate out(margin);
  out.wealth_ = Wealth(std::move(logs));
  return out;
}

void RankGate::add(double difference, std::int64_t count) {
  double const gain = (std::clamp(difference, -.5, .5) - margin_) / (1 + 2 * margin_);  // at least -1/2
  for (std::size_t i = 0; i < kBets.size(); ++i) wealth_.gain(i, kBets[i] * gain, count);
}

}  // namespace fleet::stats
