#pragma once

#include "core/stats/wealth.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fleet::stats {

/// Where a canary's value stands among its own controls: (#{Y<X} + #{Y=X}/2)/k - 1/2, in [-.5, .5]; 0 in expectation when the canary is like them.
/// Nothing without controls. For a metric whose low values are the bad ones, pass the result negated.
/// @param controls  matched to this canary and to no other: controls that canaries share make their values dependent, and the gate false
[[nodiscard]] std::optional<double> rank_difference(double canary, std::span<double const> controls);

/// Evidence that canaries' values are larger than their controls', by ranks alone, so that heavy tails do no harm: the mean over lambda in kBets of
/// prod (1 + lambda (D-m)/(1+2m)). H0: E[D] <= m. A rank test by betting, see Shekhar and Ramdas, "Nonparametric two-sample testing by betting", 2023.
class RankGate {
public:
  static constexpr std::array kBets{.05, .1, .2, .4, .8, 1.2, 1.6};

  /// @param margin  m, in [0, .5): what is still accepted. Where the margin scales the values themselves, 0
  explicit RankGate(double margin = 0) : margin_(margin) {}
  /// Logs as `logs()` gave them; nothing when they are not one a bet.
  [[nodiscard]] static std::optional<RankGate> restored(double margin, std::vector<double> logs);

  /// @param difference  `rank_difference` of one canary device
  void add(double difference, std::int64_t count = 1);
  /// Devices that the other saw, under the same margin.
  void merge(RankGate const& other) { wealth_.merge(other.wealth_); }
  [[nodiscard]] LogEvidence evidence() const { return wealth_.evidence(); }
  [[nodiscard]] std::vector<double> const& logs() const { return wealth_.logs(); }

private:
  double margin_;
  Wealth wealth_{kBets.size()};
};

}  // namespace fleet::stats
