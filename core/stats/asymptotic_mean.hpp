#pragma once

#include <cstdint>

namespace fleet::stats {

/// Half the width of an asymptotic confidence sequence for a mean (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and
/// asymptotic confidence sequences", Annals of Statistics 2024, Theorem 2.2 and, one-sided, Proposition B.1; GrowthBook's sequential tests use the same):
///   s sqrt(2 (n r^2 + 1) / (n r)^2 log(sqrt(n r^2 + 1) / alpha)),   one-sided log(1 + sqrt(n r^2 + 1) / (2 alpha)),
/// r chosen so that it is narrowest after `tuned_for` observations.
/// @param deviation  of one observation, estimated
/// @param n          observations, at least 1
[[nodiscard]] double two_sided_halfwidth(double deviation, double n, double alpha, double tuned_for);
[[nodiscard]] double one_sided_halfwidth(double deviation, double n, double alpha, double tuned_for);

/// Whether the mean of values without a declared range lies outside a bound. **Asymptotic**: the error is the nominal one only as the observations grow
/// many, because the variance is estimated and a heavy tail may not have shown itself yet; so it decides nothing before `kBurnIn` observations. Where a
/// range can be declared, BoundedMean holds at any number. One observation is the mean of a block.
class AsymptoticMean {
public:
  static constexpr std::int64_t kBurnIn = 50;
  static constexpr double kTunedFor = 100;      ///< observations at which the sequence is narrowest: two burn-ins, four days of hours
  static constexpr double kMagnitudeMax = 1e140;  ///< larger values count as this, so that a sum of a billion squares stays finite

  /// Welford's sums; plain numbers that can be stored.
  struct Sums {
    std::int64_t count = 0;
    double mean = 0;
    double squares = 0;  ///< sum of squared differences from the mean
  };

  AsymptoticMean() = default;
  explicit AsymptoticMean(Sums const& sums) : sums_(sums) {}

  /// NaN is no observation: callers refuse it first.
  void add(double x);
  /// Observations that the other saw (Chan, Golub, LeVeque 1979).
  void merge(AsymptoticMean const& other);
  /// Shown with an error of about `level` over all looks after the burn-in; false before it. Who asks for both sides shares the level out.
  [[nodiscard]] bool shows_below(double bound, double level) const;
  [[nodiscard]] bool shows_above(double bound, double level) const;
  [[nodiscard]] Sums const& sums() const { return sums_; }

private:
  [[nodiscard]] double halfwidth(double level) const;
  Sums sums_;
};

}  // namespace fleet::stats
