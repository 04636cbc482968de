#pragma once

#include "core/stats/wealth.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace fleet::stats {

/// Whether the mean of values in a declared range lies outside a bound, by betting on each value (Waudby-Smith and Ramdas, "Estimating means of bounded
/// random variables by betting", JRSS B 2024, section 4): valid at every look, for any distribution in the range, from the first observation.
/// Against "the mean is at least b" bet i gains f_i (b-x)/(hi-b), against "at most b" f_i (x-b)/(b-lo), f in kBets, so that nobody can lose everything.
/// One observation is the mean of a block: samples within an hour are not independent, blocks nearly are. Of shares (0 or 1) against .90 at level .005 it
/// takes, at the median, 11 blocks at a mean of .50, 40 at .70, 137 at .80, 490 at .85, 3,000 at .88; of values that vary less than shares, far fewer.
/// Wealth that healthy blocks lost must be won back: it is meant for a rollout's hundreds of blocks, each device's own from the rollout's start.
class BoundedMean {
public:
  /// As shares of the largest bet that cannot lose all; the smallest is for means a tenth of a percent of the range beside the bound.
  static constexpr std::array kBets{.007, .02, .06, .16, .4, .95};
  /// What of the stake each has, relative to an even part; they add up to their number. Plain harm shows itself soonest, small harm is not given up.
  static constexpr std::array kWeights{3 / 11., 9 / 11., 12 / 11., 12 / 11., 18 / 11., 12 / 11.};
  struct Limits {
    double lo = 0, hi = 1;  ///< values outside are counted as the nearer end: the claim is about the mean of what was counted
    double bound = .5;      ///< lo < bound < hi
  };

  explicit BoundedMean(Limits limits) : limits_(limits) {}
  /// State as `logs()` gave it; nothing when it has another number of bets.
  [[nodiscard]] static std::optional<BoundedMean> restored(Limits limits, std::vector<double> const& logs);

  /// @param x      the mean of a block; NaN is none: callers refuse it first
  /// @param count  so many blocks of that value
  void add(double x, std::int64_t count = 1);
  /// Blocks that the other saw, under the same limits.
  void merge(BoundedMean const& other);

  /// Evidence that the mean lies below the bound, and above it.
  [[nodiscard]] LogEvidence below() const { return weighted(below_); }
  [[nodiscard]] LogEvidence above() const { return weighted(above_); }
  /// Shown, with an error of at most `level` over all looks. Who asks for both sides shares the level out.
  [[nodiscard]] bool shows_below(double level) const { return below().reaches(1 / level); }
  [[nodiscard]] bool shows_above(double level) const { return above().reaches(1 / level); }

  /// kBets logs of wealth against "at least", then as many against "at most".
  [[nodiscard]] std::vector<double> logs() const;

private:
  [[nodiscard]] static LogEvidence weighted(Wealth const& wealth);
  Limits limits_;
  Wealth below_{kBets.size()}, above_{kBets.size()};
};

}  // namespace fleet::stats
