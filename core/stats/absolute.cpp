#include "core/stats/absolute.hpp"

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace fleet::stats {
namespace {

double log_beta(double a, double b) { return boost::math::lgamma(a) + boost::math::lgamma(b) - boost::math::lgamma(a + b); }

/// The continued fraction of the incomplete beta I_y(b, a) (DLMF 8.17.22, by Lentz's method): I_y(b, a) = y^b (1-y)^a / (b B(a, b)) times it. Quick where y
/// is far below its mean.
double beta_fraction(double b, double a, double y) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * y / (b + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double value = d;
  for (double m = 1; m < 100'000; ++m) {
    double step = 0;
    for (double const term : {m * (a - m) * y / ((b + 2 * m - 1) * (b + 2 * m)), -(b + m) * (a + b + m) * y / ((b + 2 * m) * (b + 2 * m + 1))}) {
      d = 1 + term * d;
      c = 1 + term / c;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      c = std::abs(c) < kTiny ? kTiny : c;
      value *= step = c * d;
    }
    if (std::abs(step - 1) < 1e-15) break;
  }
  return value;
}

/// The fewest devices with which `reached` holds, which then holds with any more; nothing when kDevicesMax are too few. Some fifty questions at most,
/// whatever share the caller asks for.
template <class F>
std::optional<std::int64_t> fewest(F const& reached) {
  std::int64_t low = 0, high = 1;
  for (; !reached(high); high = std::min(2 * high, kDevicesMax)) {
    if (high == kDevicesMax) return std::nullopt;
    low = high;
  }
  while (high - low > 1) {
    auto const middle = low + (high - low) / 2;
    (reached(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace

double LogEvidence::e_value() const {
  static double const log_max = std::log(std::numeric_limits<double>::max());
  return log_e >= log_max ? std::numeric_limits<double>::max() : std::exp(log_e);
}

bool LogEvidence::reaches(double bound) const { return log_e >= std::log(bound); }

LogEvidence harm(Tally tally, double p0) {
  auto const k = static_cast<double>(tally.bad);
  auto const rest = static_cast<double>(tally.devices - tally.bad);
  double const norm = log_beta(.5, .5) + std::log(boost::math::ibetac(.5, .5, p0));
  double const mass = boost::math::ibetac(.5 + k, .5 + rest, p0);
  if (mass < std::numeric_limits<double>::min())  // the powers of p0 and 1-p0 cancel, but for a root of each
    return {.5 * (std::log(p0) + std::log1p(-p0)) - std::log(.5 + rest) + std::log(beta_fraction(.5 + rest, .5 + k, 1 - p0)) - norm};
  return {log_beta(.5 + k, .5 + rest) + std::log(mass) - norm - k * std::log(p0) - rest * std::log1p(-p0)};
}

LogEvidence certify(Tally tally, double pm) {
  auto const k = static_cast<double>(tally.bad);
  auto const rest = static_cast<double>(tally.devices - tally.bad);
  std::array<double, 4> terms{};
  std::size_t used = 0;
  for (double const share : {0., .1, .3, .5}) {
    if (share == 0 && tally.bad > 0) continue;  // q = 0 gives a bad device no probability
    double const log_ratio = tally.bad > 0 ? k * std::log(share) : 0;
    terms[used++] = log_ratio + rest * (std::log1p(-share * pm) - std::log1p(-pm));
  }
  double const top = *std::max_element(terms.begin(), terms.begin() + static_cast<std::ptrdiff_t>(used));
  double sum = 0;
  for (std::size_t i = 0; i < used; ++i) sum += std::exp(terms[i] - top);
  return {top + std::log(sum / 4)};
}

std::optional<std::int64_t> trips_at(std::int64_t devices, double p0, double alpha) {
  if (devices <= 0 || !harm({devices, devices}, p0).reaches(1 / alpha)) return std::nullopt;
  std::int64_t low = 0, high = devices;  // E rises with the bad ones: low does not trip, high does
  while (high - low > 1) {
    auto const middle = low + (high - low) / 2;
    (harm({middle, devices}, p0).reaches(1 / alpha) ? high : low) = middle;
  }
  return high;
}

std::optional<std::int64_t> harm_needs(double p0, double alpha) {
  return fewest([&](std::int64_t devices) { return harm({devices, devices}, p0).reaches(1 / alpha); });
}

std::optional<std::int64_t> certify_needs(double pm, double bound) {
  return fewest([&](std::int64_t devices) { return certify({0, devices}, pm).reaches(bound); });
}

double certifiable(std::int64_t devices, double bound) {
  int low = 0, high = 1000;
  while (high - low > 1) {
    int const middle = low + (high - low) / 2;
    (certify({0, devices}, middle / 1000.).reaches(bound) ? high : low) = middle;
  }
  return high / 1000.;
}

}  // namespace fleet::stats
