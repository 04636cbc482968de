#include "core/stats/rank_gate.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

using namespace fleet::stats;

namespace {

/// Canaries until the gate reaches 1/alpha; each with four controls of its own, latencies of Pareto 1.5.
int canaries_until(double slowdown, double margin, double alpha, int most, std::uint64_t seed) {
  fleet::SeededRandom random(seed);
  auto const pareto = [&] { return std::pow(1 - random.uniform(), -1 / 1.5); };
  RankGate gate(margin);
  int n = 0;
  for (; n < most && !gate.evidence().reaches(1 / alpha); ++n) {
    std::array<double, 4> controls{};
    for (double& control : controls) control = pareto();
    gate.add(rank_difference(slowdown * pareto(), controls).value());
  }
  return n;
}

}  // namespace

TEST_CASE("a canary's rank among its controls") {
  std::array const controls{1., 2., 3., 4.};
  CHECK(rank_difference(0, controls) == -.5);
  CHECK(rank_difference(5, controls) == .5);
  CHECK(rank_difference(2.5, controls) == 0);
  CHECK(rank_difference(2, controls) == doctest::Approx(-.125));
  CHECK_FALSE(rank_difference(2, {}).has_value());
}

TEST_CASE("one canary above all its controls, by hand: the mean of 1 + lambda / 2") {
  RankGate gate;
  gate.add(.5);
  CHECK(gate.evidence().e_value() == doctest::Approx(1 + (.05 + .1 + .2 + .4 + .8 + 1.2 + 1.6) / 7 / 2));
  RankGate with_margin(.1);
  with_margin.add(.1);
  CHECK(with_margin.evidence().log_e == doctest::Approx(0));
}

TEST_CASE("heavy tails: a healthy release is not rolled back, one 1.2 times as slow is after about a hundred canaries") {
  int false_ones = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) false_ones += canaries_until(1, 0, .01, 300, seed) < 300;
  CHECK(false_ones <= 2);
  int late = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) late += canaries_until(1.2, 0, .001, 300, seed) >= 125;
  CHECK(late <= 50);
}

TEST_CASE("what lies within the margin never counts against a release, however many devices") {
  RankGate gate(.1);
  gate.add(.05, 1'000'000);
  CHECK(gate.evidence().log_e < 0);
}

TEST_CASE("state is plain numbers; parts merge; a billion canaries stay finite") {
  RankGate gate(.05), other(.05);
  gate.add(.5, 1'000'000'000);
  other.add(-.5, 1'000'000'000);
  CHECK(std::isfinite(gate.evidence().log_e));
  CHECK(gate.evidence().reaches(1e300));
  CHECK(std::isfinite(other.evidence().log_e));
  auto again = RankGate::restored(.05, gate.logs()).value();
  again.merge(other);
  other.merge(gate);
  CHECK(again.logs() == other.logs());
  CHECK_FALSE(RankGate::restored(.05, {0.}).has_value());
}
