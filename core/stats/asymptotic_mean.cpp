#include "core/stats/asymptotic_mean.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::stats {
namespace {

/// n r^2 + 1 for the r that makes the sequence narrowest after `tuned_for` observations (section 3.5 of the source, in closed form).
double spread_of(double n, double alpha, double tuned_for) {
  double const doubled = -2 * std::log(alpha);
  return n * (doubled + std::log1p(doubled)) / tuned_for + 1;
}

double halfwidth_of(double deviation, double n, double spread, double log_term) { return deviation * std::sqrt(2 * spread / (n * (spread - 1)) * log_term); }

}  // namespace

double two_sided_halfwidth(double deviation, double n, double alpha, double tuned_for) {
  double const spread = spread_of(n, alpha, tuned_for);
  return halfwidth_of(deviation, n, spread, std::log(std::sqrt(spread) / alpha));
}

double one_sided_halfwidth(double deviation, double n, double alpha, double tuned_for) {
  double const spread = spread_of(n, 2 * alpha, tuned_for);
  return halfwidth_of(deviation, n, spread, std::log1p(std::sqrt(spread) / (2 * alpha)));
}

void AsymptoticMean::add(double x) { merge(AsymptoticMean({1, std::clamp(x, -kMagnitudeMax, kMagnitudeMax), 0})); }

void AsymptoticMean::merge(AsymptoticMean const& other) {
  if (other.sums_.count == 0) return;
  auto const mine = static_cast<double>(sums_.count), theirs = static_cast<double>(other.sums_.count);
  double const all = mine + theirs, delta = other.sums_.mean - sums_.mean;
  sums_.count += other.sums_.count;
  sums_.mean += delta * (theirs / all);
  sums_.squares += other.sums_.squares + delta * delta * (mine * theirs / all);
}

double AsymptoticMean::halfwidth(double level) const {
  auto const n = static_cast<double>(sums_.count);
  return one_sided_halfwidth(std::sqrt(sums_.squares / (n - 1)), n, level, kTunedFor);
}

bool AsymptoticMean::shows_below(double bound, double level) const { return sums_.count >= kBurnIn && sums_.mean + halfwidth(level) < bound; }

bool AsymptoticMean::shows_above(double bound, double level) const { return sums_.count >= kBurnIn && sums_.mean - halfwidth(level) > bound; }

}  // namespace fleet::stats
