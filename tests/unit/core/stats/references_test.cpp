#include "core/stats/absolute.hpp"
#include "core/stats/asymptotic_mean.hpp"
#include "core/stats/boundaries.hpp"
#include "core/stats/odds_ratio.hpp"
#include "core/stats/rank_gate.hpp"
#include "core/stats/sketch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

// Inputs and outputs that other projects test themselves with.
using namespace fleet::stats;

TEST_CASE("confseq: normal mixtures") {
  CHECK(best_rho(100, .05) == doctest::Approx(12.60056).epsilon(1e-6));
  CHECK(two_sided_normal(10, 100, {100}) == doctest::Approx(-.6510052).epsilon(1e-6));
  CHECK(two_sided_normal_bound(100, .05, {100}) == doctest::Approx(30.35209).epsilon(1e-6));
  CHECK(one_sided_normal(10, 100, {100}) == doctest::Approx(-.06502391).epsilon(1e-6));
}

TEST_CASE("confseq: beta-binomial mixture and the interval of a share") {
  CHECK(one_sided_beta_binomial(10, 100, .2, .8, {100}) == doctest::Approx(-.07134019).epsilon(1e-6));
  CHECK(one_sided_beta_binomial_bound(100, .05, .2, .8, {100}) == doctest::Approx(28.41238).epsilon(1e-6));
  struct Case {
    double sum, count, n_best, low, high;
  };
  for (auto const& c : {Case{700, 1'000, 100, .651629, .745949}, {5, 50, 50, .013021, .269264}}) {
    auto const interval = bernoulli_interval(c.sum, c.count, .05, c.n_best);
    CHECK(std::abs(interval.low - c.low) < 1e-6);
    CHECK(std::abs(interval.high - c.high) < 1e-6);
  }
  CHECK(bernoulli_interval(0, 20, .05, 100).low == 0);
  CHECK(bernoulli_interval(20, 20, .05, 100).high == 1);
  auto const billion = bernoulli_interval(1e7, 1e9, .01, 1'000);
  CHECK(billion.low < .01);
  CHECK(billion.high > .01);
  CHECK(billion.high - billion.low < 1e-4);
}

TEST_CASE("confseq: stitched and gamma-exponential boundaries") {
  CHECK(poly_stitching_bound(100, .05, 10, 3) == doctest::Approx(64.48755).epsilon(1e-6));
  CHECK(gamma_exponential_bound(100, .05, 2, {100}) == doctest::Approx(33.02017).epsilon(1e-6));
}

TEST_CASE("scipy: one table's odds ratio, w 5 against 1") {
  CHECK(std::exp(log_likelihood({{3, 10}, {2, 90}}, 5)) == doctest::Approx(24.992619).epsilon(1e-7));
}

TEST_CASE("GrowthBook: sequential intervals of a relative difference, and one-sided of an absolute one") {
  struct Arm {
    double sum, squares, n;
    [[nodiscard]] double mean() const { return sum / n; }
    [[nodiscard]] double variance_of_mean() const { return (squares - sum * sum / n) / (n - 1) / n; }
  };
  Arm const a{1396.87, 52377.9767, 3000}, b{2422.7, 134698.29, 3461};
  double const n = a.n + b.n;
  double const relative = (b.mean() - a.mean()) / a.mean();
  double const ratio = b.mean() / a.mean();
  double const relative_variance = (b.variance_of_mean() + ratio * ratio * a.variance_of_mean()) / (a.mean() * a.mean());
  double const half = two_sided_halfwidth(std::sqrt(relative_variance * n), n, .05, 1'000);
  CHECK(relative - half == doctest::Approx(-.55844).epsilon(1e-5));
  CHECK(relative + half == doctest::Approx(1.56516).epsilon(1e-5));
  double const absolute_variance = a.variance_of_mean() + b.variance_of_mean();
  double const lower = b.mean() - a.mean() - one_sided_halfwidth(std::sqrt(absolute_variance * n), n, .05, 5'000);  // its own default tuning
  CHECK(lower == doctest::Approx(-.12656844).epsilon(1e-6));
}

namespace {

/// Each canary's value against all of the control's, as if they were its own: what such small samples can say at most.
RankGate gate_of(std::vector<double> const& canaries, std::vector<double> const& controls) {
  RankGate gate;
  for (double const canary : canaries) gate.add(rank_difference(canary, controls).value());
  return gate;
}

}  // namespace

TEST_CASE("Kayenta: its Mann-Whitney example points the same way, and four canaries decide nothing yet") {
  auto const gate = gate_of({10, 20, 30, 40}, {1, 2, 3, 4});
  CHECK(gate.evidence().e_value() > 2);
  CHECK_FALSE(gate.evidence().reaches(1'000));
  CHECK(gate_of({1, 2, 3, 4}, {10, 20, 30, 40}).evidence().e_value() < 1);
}

TEST_CASE("Kayenta: what its users saw pass is no evidence to promote; as failures of devices it is evidence of harm") {
  // {0,1,2,1,0,0} errors against none (#426): half of the canaries have some.
  CHECK(gate_of({0, 1, 2, 1, 0, 0}, {0, 0, 0, 0, 0, 0}).evidence().e_value() > 1);
  double const two = log_likelihood({{3, 6}, {0, 6}}, 5);
  CHECK(two > 0);
  CHECK_FALSE(certify({3, 6}, .5).reaches(3));
  CHECK(harm({3, 6}, .02).reaches(300));
  // Seven 100s and three 1s against ten 1s (spinnaker#6278).
  auto const gate = gate_of({100, 100, 100, 100, 100, 100, 100, 1, 1, 1}, std::vector<double>(10, 1));
  CHECK(gate.evidence().e_value() > 3);
  CHECK_FALSE(certify({7, 10}, .5).reaches(1));
  CHECK(harm({7, 10}, .05).reaches(1'000));
  CHECK(log_likelihood({{7, 10}, {0, 10}}, 50) > std::log(100));
}

TEST_CASE("NIST: the 90th percentile of twelve measurements, by the sketch within its accuracy") {
  // e-Handbook of Statistical Methods, 7.2.6.2, as Kayenta has them.
  std::vector<double> values{95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1772, 95.0925, 95.1990, 95.1682};
  Sketch sketch;
  for (double const x : values) sketch.add(x);
  CHECK(sketch.quantile(.9) == doctest::Approx(95.19568).epsilon(.01));
}

TEST_CASE("DDSketch: relative errors over shapes of data, sizes and quantiles; the decimal case") {
  std::vector<double (*)(int, int)> const shapes{
      [](int i, int) { return i + 1.; },                                          // ascending
      [](int i, int n) { return static_cast<double>(n - i); },                    // descending
      [](int, int) { return 42.; },                                               // constant
      [](int i, int) { return i % 2 == 0 ? -1. - i : 1. + i; },                   // both signs, zooming out
      [](int i, int n) { return i % 2 == 0 ? double(n - i) : double(i - n); },    // both signs, zooming in
      [](int i, int) { return -1. - i; },                                         // negative
      [](int i, int) { return i % 2 == 0 ? 0. : -1. - i; },                       // with zeros
      [](int i, int) { return std::exp(.01 * i); },                               // exponential
      [](int i, int n) { return 37.4 * -std::log1p(-(i + .5) / n); },             // exponential quantiles
      [](int i, int n) { return std::pow((i + .5) / n, -1 / 1.5); },              // Pareto
      [](int i, int n) { return std::exp(3 * (2. * i / n - 1)); },                // log-uniform
      [](int i, int n) { return i < n / 2 ? 17.3 : 17.3 * 1e6; },                 // bimodal
      [](int i, int) { return 1e-9 * (i + 1); },                                  // tiny
      [](int i, int) { return 1e12 * (i + 1); },                                  // huge
      [](int i, int) { return static_cast<double>(i * 7919 % 1009); },            // integers in no order
      [](int i, int) { return i % 10 == 0 ? 1e6 : 1.; },                          // rare extremes
      [](int i, int n) { return 5 + std::sin(6.283185307 * i / n); },             // a season
      [](int i, int) { return (i * 7919 % 1009) / 1009. - .5; },                  // around zero
  };
  for (std::size_t shape = 0; shape < shapes.size(); ++shape)
    for (int const n : {3, 5, 10, 100, 1'000}) {
      Sketch sketch;
      std::vector<double> values;
      for (int i = 0; i < n; ++i) {
        values.push_back(shapes[shape](i, n));
        sketch.add(values.back());
      }
      std::sort(values.begin(), values.end());
      for (double const q : {0., .1, .25, .5, .75, .9, .95, .99, .999, 1.}) {
        CAPTURE(shape);
        CAPTURE(n);
        CAPTURE(q);
        double const truth = values[static_cast<std::size_t>(q * (n - 1))];
        CHECK(std::abs(sketch.quantile(q) - truth) <= .05 * std::abs(truth));
      }
    }
  Sketch decimal;
  for (int i = 0; i < 100; ++i) decimal.add(i, 11);  // weights of 1.1 and 110 there; counts are whole here, ten times as many
  decimal.add(100, 1'100);
  CHECK(decimal.count() == 2'200);
  CHECK(decimal.quantile(.5) == doctest::Approx(99).epsilon(.05));
}
