#include "core/stats/drift.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

using namespace fleet::stats;

namespace {

constexpr std::size_t kBins = 10;
using Shares = std::array<double, kBins>;

double gaussian(fleet::SeededRandom& random) { return std::sqrt(-2 * std::log1p(-random.uniform())) * std::cos(6.283185307179586 * random.uniform()); }

/// Marsaglia and Tsang 2000.
double gamma(fleet::SeededRandom& random, double shape) {
  double const d = shape - 1. / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    double const x = gaussian(random), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

/// A device's confidences as shares of ten even bins.
Shares device(fleet::SeededRandom& random, double a, double b, int samples) {
  Shares out{};
  for (int i = 0; i < samples; ++i) {
    double const x = gamma(random, a), y = gamma(random, b);
    out[std::min(kBins - 1, static_cast<std::size_t>(x / (x + y) * kBins))] += 1. / samples;
  }
  return out;
}

int canaries_until(double a, double b, int samples, double alpha, int most, std::uint64_t seed) {
  fleet::SeededRandom random(seed);
  Drift drift(kBins);
  int n = 0;
  for (; n < most && !drift.evidence().reaches(1 / alpha); ++n) {
    Shares mean{};
    for (int k = 0; k < 4; ++k) {
      auto const control = device(random, 8, 2, samples);
      for (std::size_t bin = 0; bin < kBins; ++bin) mean[bin] += control[bin] / 4;
    }
    drift.add(device(random, a, b, samples), mean);
  }
  return n;
}

}  // namespace

TEST_CASE("PSI without its bias is small where nothing drifted; the plain one calls every other healthy canary") {
  fleet::SeededRandom random(5);
  int cries = 0, plain_cries = 0;
  double sum = 0;
  for (int run = 0; run < 300; ++run) {
    std::array<std::int64_t, kBins> canary{}, control{};
    for (int i = 0; i < 100; ++i) ++canary[static_cast<std::size_t>(random.uniform() * kBins)];
    for (int i = 0; i < 900; ++i) ++control[static_cast<std::size_t>(random.uniform() * kBins)];
    double const psi = debiased_psi(canary, control);
    cries += psi > .1;
    plain_cries += psi + 9 * (1. / 100 + 1. / 900) > .1;
    sum += psi;
  }
  CHECK(cries <= 30);
  CHECK(plain_cries >= 60);
  CHECK(sum / 300 < .03);
}

TEST_CASE("PSI of what did drift, by hand") {
  std::array<std::int64_t, 2> const canary{300, 700}, control{600, 400};
  CHECK(debiased_psi(canary, control) == doctest::Approx((.3 - .6) * std::log(.5) + (.7 - .4) * std::log(1.75) - 2. / 1000));
  std::array<std::int64_t, 2> const all{1'000, 0}, none{0, 1'000}, empty{0, 0};
  CHECK(std::isfinite(debiased_psi(all, none)));
  CHECK(debiased_psi(all, none) > 10);
  CHECK(debiased_psi(all, empty) == 0);
  std::array<std::int64_t, 2> const billions{1'000'000'000, 1}, other{1, 1'000'000'000};
  CHECK(std::isfinite(debiased_psi(billions, other)));
}

TEST_CASE("one device by hand: the mean over bins, signs and bets is 1, whatever it saw") {
  Drift drift(3);
  drift.add(std::array{1., 0., 0.}, std::array{.2, .3, .5});
  CHECK(drift.evidence().e_value() == doctest::Approx(1));
  CHECK(drift.logs().size() == 18);
  drift.add(std::array{1., 0., 0.}, std::array{.2, .3, .5});
  double expected = 0;
  for (double const d : {.8, -.3, -.5})
    for (double const lambda : {.1, .3, .6})
      for (double const sign : {1., -1.}) expected += std::pow(1 + sign * lambda * d, 2) / 18;
  CHECK(drift.evidence().e_value() == doctest::Approx(expected));
}

TEST_CASE("Beta(8, 2) that became Beta(7, 2.5) is found after about the published 259 devices, sooner where each saw more; what stayed is not") {
  int late = 0, late_of_many = 0, false_ones = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    late += canaries_until(7, 2.5, 1, .001, 600, seed) > 285;
    late_of_many += canaries_until(7, 2.5, 20, .001, 600, seed) > 200;
    false_ones += canaries_until(8, 2, 5, .01, 300, seed) < 300;
  }
  CHECK(late <= 20);
  CHECK(late_of_many <= 20);
  CHECK(false_ones <= 2);
}

TEST_CASE("state is plain numbers and merges") {
  Drift drift(2), other(2);
  drift.add(std::array{.9, .1}, std::array{.5, .5});
  other.add(std::array{.2, .8}, std::array{.4, .6});
  auto again = Drift::restored(2, drift.logs()).value();
  again.merge(other);
  other.merge(drift);
  CHECK(again.logs() == other.logs());
  CHECK_FALSE(Drift::restored(3, drift.logs()).has_value());
}
