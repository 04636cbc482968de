#pragma once

#include "core/stats/absolute.hpp"

#include <cstdint>
#include <span>

/// Harm and non-inferiority of a canary beside a concurrent control, by the exact conditional odds ratio. One 2x2 table a stratum and window, its sizes
/// fixed before any outcome is seen. Whatever raises the failures of both arms alike is conditioned out.
namespace fleet::stats {

/// Outcomes of one window. `canary.bad <= canary.devices`, the same of the control; all at most 10^9.
struct Table {
  Tally canary, control;
};

/// log of the table's conditional likelihood at odds ratio `w`, relative to the one at 1:
///   K log w - log(Z(w)/Z(1)),  Z(w) = sum_j C(n_c,j) C(n_b,x-j) w^j,  x failures in all, K of them in the canary.
/// Sums over tables are all that need be kept: log S of w against w0 is their difference. 0 where no canary or no control is, or none or all failed.
/// @param w  above 0
/// @source Fisher's noncentral hypergeometric distribution; the e-value of a point alternative is its likelihood ratio
[[nodiscard]] double log_likelihood(Table const& table, double w);

/// Evidence against "the odds ratio is at most w0": the mean over the alternatives above `w0` of their likelihood ratios. E[E] <= 1 under it.
/// @param alternatives  odds ratios; those not above `w0` are left out
/// @param sums          one sum of `log_likelihood` each
/// @param at_w0         the same at w0
[[nodiscard]] LogEvidence worse_than(std::span<double const> alternatives, std::span<double const> sums, double w0, double at_w0);
/// Evidence against "the odds ratio is at least w0": the same over the alternatives below it.
[[nodiscard]] LogEvidence better_than(std::span<double const> alternatives, std::span<double const> sums, double w0, double at_w0);

/// log of the mean of exponentials; 0 of none.
[[nodiscard]] double log_mean_exp(std::span<double const> logs);

}  // namespace fleet::stats
