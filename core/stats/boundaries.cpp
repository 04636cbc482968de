#include "core/stats/boundaries.hpp"

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/special_functions/zeta.hpp>

#include <algorithm>
#include <cmath>

namespace fleet::stats {
namespace {

constexpr int kHalvings = 100;  // more than a double has digits between any two bounds

/// Where `f`, below 0 at `low` and rising, reaches 0.
template <class F>
double rising_root(F const& f, double low, double high) {
  for (int i = 0; i < kHalvings; ++i) {
    double const middle = low + (high - low) / 2;
    (f(middle) < 0 ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

/// log of the incomplete beta function up to x; of the complete one at x = 1.
double log_beta(double a, double b, double x) {
  double const whole = boost::math::lgamma(a) + boost::math::lgamma(b) - boost::math::lgamma(a + b);
  return x == 1 ? whole : whole + std::log(boost::math::ibeta(a, b, x));
}

double one_sided_rho(Tuning tuning) { return best_rho(tuning.v_best, 2 * tuning.alpha_best); }

/// The mixture over Beta priors with precision `rho`, cut off at `x`.
double beta_binomial(double s, double v, double g, double h, double rho, double x) {
  double const range = g + h, r = std::max(rho - g * h, 1e-3 * g * h);
  return v / (g * h) * std::log(range) - (v + h * s) / (h * range) * std::log(g) - (v - g * s) / (g * range) * std::log(h) +
         log_beta((r + v - g * s) / (g * range), (r + v + h * s) / (h * range), x) - log_beta(r / (g * range), r / (h * range), x);
}

double gamma_exponential(double s, double v, double c, double rho) {
  double const square = c * c, start = rho / square, shape = (v + rho) / square, at = (c * s + v) / square;
  return start * std::log(start) - boost::math::lgamma(start) - std::log(boost::math::gamma_p(start, start)) + boost::math::lgamma(shape) +
         std::log(boost::math::gamma_p(shape, at + start)) - shape * std::log(at + start) + at;
}

}  // namespace

double best_rho(double v, double alpha) {
  double const doubled = -2 * std::log(alpha);
  return v / (doubled + std::log1p(doubled));
}

double two_sided_normal(double s, double v, Tuning tuning) {
  double const rho = best_rho(tuning.v_best, tuning.alpha_best);
  return .5 * std::log(rho / (v + rho)) + s * s / (2 * (v + rho));
}

double one_sided_normal(double s, double v, Tuning tuning) {
  double const rho = one_sided_rho(tuning);
  double const twice_tail = boost::math::erfc(-s / std::sqrt(2 * (v + rho)));
  return .5 * std::log(rho / (v + rho)) + s * s / (2 * (v + rho)) + std::log(twice_tail);
}

double two_sided_normal_bound(double v, double alpha, Tuning tuning) {
  double const rho = best_rho(tuning.v_best, tuning.alpha_best);
  return std::sqrt((v + rho) * (std::log1p(v / rho) - 2 * std::log(alpha)));
}

double one_sided_beta_binomial(double s, double v, double g, double h, Tuning tuning) { return beta_binomial(s, v, g, h, one_sided_rho(tuning), h / (g + h)); }

double one_sided_beta_binomial_bound(double v, double alpha, double g, double h, Tuning tuning) {
  return rising_root([&](double s) { return one_sided_beta_binomial(s, v, g, h, tuning) + std::log(alpha); }, 0, v / g);
}

double gamma_exponential_bound(double v, double alpha, double c, Tuning tuning) {
  double const rho = one_sided_rho(tuning);
  auto const short_of = [&](double s) { return gamma_exponential(s, v, c, rho) + std::log(alpha); };
  double high = v;
  for (int i = 0; i < kHalvings && short_of(high) < 0; ++i) high *= 2;
  return rising_root(short_of, 0, high);
}

double poly_stitching_bound(double v, double alpha, double v_least, double c) {
  constexpr double kS = 1.4, kEta = 2;
  double const time = std::max(v, v_least);
  double const k1 = (std::pow(kEta, .25) + std::pow(kEta, -.25)) / std::sqrt(2), k2 = (std::sqrt(kEta) + 1) / 2;
  double const ell = kS * std::log(std::log(kEta * time / v_least)) + std::log(boost::math::zeta(kS) / std::pow(std::log(kEta), kS)) - std::log(alpha);
  double const linear = k2 * c * ell;
  return std::sqrt(k1 * k1 * time * ell + linear * linear) + linear;
}

Interval bernoulli_interval(double sum, double count, double alpha, double n_best) {
  double const share = sum / count;
  auto const beyond = [&](double p) {
    double const variance = p * (1 - p);
    return beta_binomial((share - p) * count, variance * count, p, 1 - p, best_rho(variance * n_best, .05), 1) + std::log(alpha);
  };
  Interval out{0, 1};
  if (share > 0) out.low = rising_root([&](double p) { return -beyond(p); }, 0, share);
  if (share < 1) out.high = rising_root(beyond, share, 1);
  return out;
}

}  // namespace fleet::stats
