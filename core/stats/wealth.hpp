#pragma once

#include "core/stats/odds_ratio.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fleet::stats {

/// A stake divided evenly over fixed bets against one hypothesis: no bet gains on average while the hypothesis holds, so the mean of their wealths is an
/// e-process (Ville: it exceeds 1/alpha with probability at most alpha, ever). The state is one log of wealth a bet, plain numbers that can be stored.
class Wealth {
public:
  explicit Wealth(std::size_t bets) : logs_(bets, 0.) {}
  /// As `logs()` gave them.
  explicit Wealth(std::vector<double> logs) : logs_(std::move(logs)) {}

  /// Bet `bet` multiplied its wealth by `1 + gain`, `count` times. @param gain  > -1, finite
  void gain(std::size_t bet, double gain, std::int64_t count = 1);
  /// Observations of a later (or earlier) part, on the same bets. What lies in both would count twice.
  void merge(Wealth const& other);
  [[nodiscard]] LogEvidence evidence() const { return {log_mean_exp(logs_)}; }
  [[nodiscard]] std::vector<double> const& logs() const { return logs_; }

private:
  std::vector<double> logs_;
};

}  // namespace fleet::stats
