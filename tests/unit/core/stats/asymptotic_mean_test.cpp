#include "core/stats/asymptotic_mean.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <cmath>

using fleet::SeededRandom;
using fleet::stats::AsymptoticMean;

namespace {

double gaussian(SeededRandom& random) { return std::sqrt(-2 * std::log1p(-random.uniform())) * std::cos(6.283185307179586 * random.uniform()); }

}  // namespace

TEST_CASE("nothing is decided before fifty observations, however plain it looks") {
  AsymptoticMean mean;
  for (int i = 0; i < 49; ++i) mean.add(1'000 + i % 2);
  CHECK_FALSE(mean.shows_above(10, .01));
  mean.add(1'000);
  CHECK(mean.shows_above(10, .01));
  CHECK_FALSE(mean.shows_below(10, .01));
}

TEST_CASE("a mean beyond its bound is shown, one at its bound hardly ever") {
  int false_ones = 0, found = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SeededRandom random(seed);
    AsymptoticMean at, beyond;
    bool ever = false;
    for (int i = 0; i < 400; ++i) {
      double const noise = 10 * gaussian(random);
      at.add(80 + noise), beyond.add(85 + noise);
      ever = ever || at.shows_above(80, .05);
    }
    false_ones += ever;
    found += beyond.shows_above(80, .05);
  }
  CHECK(false_ones <= 35);  // 25 expected at most, asymptotically
  CHECK(found >= 495);
}

TEST_CASE("parts merge into the whole, in any order") {
  SeededRandom random(3);
  AsymptoticMean all, a, b, c;
  for (int i = 0; i < 300; ++i) {
    double const x = 1e6 + gaussian(random);
    all.add(x);
    (i < 20 ? a : i < 220 ? b : c).add(x);
  }
  auto forth = a;
  forth.merge(b), forth.merge(c);
  auto back = c;
  back.merge(a), back.merge(b);
  for (auto const& sums : {forth.sums(), back.sums()}) {
    CHECK(sums.count == 300);
    CHECK(sums.mean == doctest::Approx(all.sums().mean).epsilon(1e-12));
    CHECK(sums.squares == doctest::Approx(all.sums().squares).epsilon(1e-6));
  }
}

TEST_CASE("a value that never varies is known, not silent") {
  AsymptoticMean stuck;
  for (int i = 0; i < 50; ++i) stuck.add(95);
  CHECK(stuck.shows_above(90, .001));
  CHECK_FALSE(stuck.shows_above(95, .001));
  CHECK_FALSE(stuck.shows_below(95, .001));
}

TEST_CASE("huge values and a billion observations stay finite") {
  AsymptoticMean mean;
  mean.add(1e308), mean.add(-1e308);
  for (int doubling = 0; doubling < 29; ++doubling) {
    auto const same = mean;
    mean.merge(same);
  }
  CHECK(mean.sums().count == 1 << 30);
  CHECK(std::isfinite(mean.sums().squares));
  CHECK_FALSE(mean.shows_above(0, .01));
  CHECK(mean.shows_above(-1e139, .01));
}
