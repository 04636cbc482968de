#include "core/stats/balance.hpp"

#include "core/stats/odds_ratio.hpp"

#include <boost/math/special_functions/gamma.hpp>

#include <array>
#include <cmath>

namespace fleet::stats {
namespace {

double log_beta(double a, double b) { return boost::math::lgamma(a) + boost::math::lgamma(b) - boost::math::lgamma(a + b); }

}  // namespace

LogEvidence imbalance(Arms arms, double planned) {
  auto const canary = static_cast<double>(arms.canary), control = static_cast<double>(arms.control);
  double const log_null = canary * std::log(planned) + control * std::log1p(-planned);
  std::array<double, 4> logs{2, 20, 200, 2000};
  for (double& entry : logs) {
    double const a = entry * planned, b = entry * (1 - planned);
    entry = log_beta(a + canary, b + control) - log_beta(a, b) - log_null;
  }
  return {log_mean_exp(logs)};
}

}  // namespace fleet::stats
