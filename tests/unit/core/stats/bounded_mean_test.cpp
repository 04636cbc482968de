#include "core/stats/bounded_mean.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using fleet::SeededRandom;
using fleet::stats::BoundedMean;

namespace {

constexpr BoundedMean::Limits kAccuracy{0, 1, .9};
constexpr double kLevel = .005;

/// The median over devices of the shares (0 or 1) it takes to show a mean of `p` below .90.
int median_needed(double p, int devices, int most) {
  std::vector<int> needed;
  for (int device = 0; device < devices; ++device) {
    SeededRandom random(static_cast<std::uint64_t>(device) + 1);
    BoundedMean mean(kAccuracy);
    int n = 0;
    while (n < most && !mean.shows_below(kLevel)) mean.add(random.uniform() < p ? 1 : 0), ++n;
    needed.push_back(n);
  }
  std::nth_element(needed.begin(), needed.begin() + devices / 2, needed.end());
  return needed[static_cast<std::size_t>(devices / 2)];
}

int needed(BoundedMean mean, double value) {
  int n = 0;
  for (; n < 100'000 && !mean.shows_below(kLevel); ++n) mean.add(value);
  return n;
}

}  // namespace

TEST_CASE("the weights of the bets are one stake") {
  CHECK(std::accumulate(BoundedMean::kWeights.begin(), BoundedMean::kWeights.end(), 0.) == doctest::Approx(BoundedMean::kBets.size()));
  CHECK(BoundedMean(kAccuracy).below().log_e == doctest::Approx(0));
}

TEST_CASE("a bad device shows itself after about the published number of shares, at a level of .005 against .90") {
  struct Case {
    double mean;
    int published, devices;
  };
  for (auto const& c : {Case{.50, 11, 201}, {.70, 37, 201}, {.80, 132, 101}, {.85, 498, 101}, {.88, 2810, 41}}) {
    CAPTURE(c.mean);
    int const median = median_needed(c.mean, c.devices, 20'000);
    CAPTURE(median);
    CHECK(median <= 1.25 * c.published + 1);
    CHECK(median >= .75 * c.published);
  }
}

TEST_CASE("means of blocks vary less, and show themselves within the hours that a bake has") {
  CHECK(needed(BoundedMean(kAccuracy), .80) <= 12);
  CHECK(needed(BoundedMean(kAccuracy), .85) <= 20);
  CHECK(needed(BoundedMean(kAccuracy), .88) <= 48);
}

TEST_CASE("a device whose mean is the bound is called bad less often than the level says") {
  int called = 0;
  for (std::uint64_t device = 1; device <= 1'000; ++device) {
    SeededRandom random(device);
    BoundedMean mean(kAccuracy);
    bool ever = false;
    for (int n = 0; n < 500 && !ever; ++n) {
      mean.add(random.uniform() < .9 ? 1 : 0);
      ever = mean.shows_below(.05);
    }
    called += ever;
  }
  CHECK(called <= 50);
}

TEST_CASE("both sides, in units of the metric: a box at 115 degrees is above 90, one at 60 is below") {
  BoundedMean hot({-20, 120, 90}), cool({-20, 120, 90}), at({-20, 120, 90});
  for (int hour = 0; hour < 60; ++hour) hot.add(115 + hour % 3 - 1), cool.add(60), at.add(90);
  CHECK(hot.shows_above(kLevel));
  CHECK_FALSE(hot.shows_below(kLevel));
  CHECK(cool.shows_below(kLevel));
  CHECK_FALSE(cool.shows_above(kLevel));
  CHECK(at.below().log_e == doctest::Approx(0));
  CHECK(at.above().log_e == doctest::Approx(0));
}

TEST_CASE("values outside the range count as its ends") {
  BoundedMean one(kAccuracy), other(kAccuracy);
  one.add(-5), one.add(17);
  other.add(0), other.add(1);
  CHECK(one.logs() == other.logs());
}

TEST_CASE("state is plain numbers: stored and read again it goes on where it was, parts merge into the whole") {
  BoundedMean all(kAccuracy), first(kAccuracy), second(kAccuracy);
  for (int i = 0; i < 40; ++i) {
    double const value = .7 + .01 * (i % 25);
    all.add(value);
    (i < 17 ? first : second).add(value);
  }
  auto again = BoundedMean::restored(kAccuracy, first.logs()).value();
  CHECK(again.logs() == first.logs());
  again.merge(second);
  CHECK(again.below().log_e == doctest::Approx(all.below().log_e));
  CHECK(again.above().log_e == doctest::Approx(all.above().log_e));
  CHECK_FALSE(BoundedMean::restored(kAccuracy, {1, 2, 3}).has_value());
}

TEST_CASE("a device that was well for a whole rollout and then fails is still found, a billion blocks stay finite") {
  BoundedMean late(kAccuracy);
  for (int hour = 0; hour < 336; ++hour) late.add(.95);
  int hours = 0;
  for (; hours < 1'000 && !late.shows_below(kLevel); ++hours) late.add(.5);
  CAPTURE(hours);
  CHECK(hours <= 96);  // of what was lost, the smallest bets lost least

  BoundedMean never(kAccuracy), always(kAccuracy);
  never.add(0, 1'000'000'000);
  always.add(1, 1'000'000'000);
  CHECK(never.shows_below(1e-300));
  CHECK(always.shows_above(1e-300));
  CHECK_FALSE(always.shows_below(.5));
  for (double const log : {never.below().log_e, never.above().log_e, always.below().log_e, always.above().log_e}) CHECK(std::isfinite(log));
}
