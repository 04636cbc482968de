#pragma once

namespace fleet::stats {

/// Uniform boundaries: a sum s with intrinsic time (variance) v crosses `bound(v)` ever with probability at most alpha (Howard, Ramdas, McAuliffe, Sekhon,
/// "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 2021; the mixtures are in "Time-uniform Chernoff bounds via
/// nonnegative supermartingales", 2020). Each mixture is narrowest at the time `v_best` for `alpha_best`.
struct Tuning {
  double v_best;
  double alpha_best = .05;
};

/// The prior's precision that makes a two-sided normal mixture narrowest.
[[nodiscard]] double best_rho(double v, double alpha);

/// log of the mixture's supermartingale at (s, v); sub-Gaussian sums.
[[nodiscard]] double two_sided_normal(double s, double v, Tuning tuning);
[[nodiscard]] double one_sided_normal(double s, double v, Tuning tuning);
[[nodiscard]] double two_sided_normal_bound(double v, double alpha, Tuning tuning);

/// Sums whose steps lie in [-g, h]; one-sided.
[[nodiscard]] double one_sided_beta_binomial(double s, double v, double g, double h, Tuning tuning);
[[nodiscard]] double one_sided_beta_binomial_bound(double v, double alpha, double g, double h, Tuning tuning);

/// Sub-exponential sums of scale c; one-sided.
[[nodiscard]] double gamma_exponential_bound(double v, double alpha, double c, Tuning tuning);

/// The polynomial stitched boundary of sub-gamma sums of scale c, from `v_least` on, with the paper's s = 1.4 and eta = 2.
[[nodiscard]] double poly_stitching_bound(double v, double alpha, double v_least, double c);

/// Bounds on a share, or on the mean of values in [0, 1], that hold at every look together with probability 1 - alpha.
struct Interval {
  double low, high;
};
/// @param sum     successes, or the sum of the values
/// @param count   at least 1
/// @param n_best  observations at which it is narrowest
[[nodiscard]] Interval bernoulli_interval(double sum, double count, double alpha, double n_best);

}  // namespace fleet::stats
