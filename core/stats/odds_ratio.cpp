#include "core/stats/odds_ratio.hpp"

#include <boost/math/special_functions/gamma.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace fleet::stats {
namespace {

double log_choose(double n, double k) { return boost::math::lgamma(n + 1) - boost::math::lgamma(k + 1) - boost::math::lgamma(n - k + 1); }

/// The distribution's support and sizes, as doubles: 10^9 devices are exact.
struct Shape {
  double canaries, controls, failures, low, high;
};

/// h(j+1) w / h(j), which falls as j rises.
double ratio(Shape const& s, double j, double w) { return (s.canaries - j) * (s.failures - j) / ((j + 1) * (s.controls - s.failures + j + 1)) * w; }

double mode(Shape const& s, double w) {
  double low = s.low, high = s.high;
  while (low < high) {
    double const middle = std::floor((low + high) / 2);
    if (ratio(s, middle, w) >= 1) low = middle + 1;
    else high = middle;
  }
  return low;
}

/// log Z(w): from the largest term outwards, until what is left is beyond a double's digits.
double log_z(Shape const& s, double w) {
  constexpr double kNegligible = 1e-18;
  double const peak = mode(s, w);
  double sum = 1;
  double term = 1;
  for (double j = peak; j < s.high && term > kNegligible; ++j) sum += term *= ratio(s, j, w);
  term = 1;
  for (double j = peak; j > s.low && term > kNegligible; --j) sum += term /= ratio(s, j - 1, w);
  return log_choose(s.canaries, peak) + log_choose(s.controls, s.failures - peak) + peak * std::log(w) + std::log(sum);
}

LogEvidence mixture(std::span<double const> alternatives, std::span<double const> sums, double at_w0, auto const& counts) {
  std::vector<double> logs;
  for (std::size_t i = 0; i < alternatives.size(); ++i)
    if (counts(alternatives[i])) logs.push_back(sums[i] - at_w0);
  return {log_mean_exp(logs)};
}

}  // namespace

double log_mean_exp(std::span<double const> logs) {
  if (logs.empty()) return 0;
  double const most = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (double const one : logs) sum += std::exp(one - most);
  return most + std::log(sum / static_cast<double>(logs.size()));
}

double log_likelihood(Table const& table, double w) {
  auto const [canary, control] = table;
  auto const failures = canary.bad + control.bad;
  if (canary.devices == 0 || control.devices == 0 || failures == 0 || failures == canary.devices + control.devices || w == 1) return 0;
  auto const number = [](std::int64_t count) { return static_cast<double>(count); };
  Shape const shape{number(canary.devices), number(control.devices), number(failures), number(std::max<std::int64_t>(0, failures - control.devices)),
                    number(std::min(canary.devices, failures))};
  return number(canary.bad) * std::log(w) - (log_z(shape, w) - log_z(shape, 1));
}

LogEvidence worse_than(std::span<double const> alternatives, std::span<double const> sums, double w0, double at_w0) {
  return mixture(alternatives, sums, at_w0, [w0](double w) { return w > w0; });
}

LogEvidence better_than(std::span<double const> alternatives, std::span<double const> sums, double w0, double at_w0) {
  return mixture(alternatives, sums, at_w0, [w0](double w) { return w < w0; });
}

}  // namespace fleet::stats
