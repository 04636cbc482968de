#include "core/stats/balance.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace fleet::stats;

TEST_CASE("arms of the planned sizes are no evidence; those far from it are") {
  CHECK(imbalance({0, 0}, .1).log_e == doctest::Approx(0));
  CHECK(imbalance({100, 900}, .1).log_e < 0);
  CHECK_FALSE(imbalance({110, 890}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({170, 830}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({40, 960}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({0, 200}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({5'200, 4'800}, .5).reaches(10));
  CHECK(imbalance({52'000, 48'000}, .5).reaches(kImbalanceBound));
}

TEST_CASE("more devices left one arm than its share of the fleet") {
  CHECK_FALSE(imbalance({2, 4}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({9, 4}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({30, 30}, .1).reaches(kImbalanceBound));
}

TEST_CASE("in expectation over the plan's own draws it is 1 for each fleet's size") {
  for (double const planned : {.01, .1, .5})
    for (int const n : {1, 7, 40, 150}) {
      CAPTURE(planned);
      CAPTURE(n);
      double mean = 0, log_choose = 0;
      for (int k = 0; k <= n; ++k) {
        mean += std::exp(log_choose + k * std::log(planned) + (n - k) * std::log1p(-planned) + imbalance({k, n - k}, planned).log_e);
        log_choose += std::log(static_cast<double>(n - k)) - std::log(k + 1.);
      }
      CHECK(mean == doctest::Approx(1).epsilon(1e-9));
    }
}

TEST_CASE("a look after each device stays within its error") {
  int tripped = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    fleet::SeededRandom random(seed);
    Arms arms;
    bool ever = false;
    for (int i = 0; i < 300 && !ever; ++i) {
      ++(random.uniform() < .1 ? arms.canary : arms.control);
      ever = imbalance(arms, .1).reaches(20);
    }
    tripped += ever;
  }
  CHECK(tripped <= 25);
}

TEST_CASE("a billion devices stay finite and decide") {
  CHECK(std::isfinite(imbalance({100'000'000, 900'000'000}, .1).log_e));
  CHECK(imbalance({100'000'000, 900'000'000}, .1).log_e < 0);
  CHECK(imbalance({101'000'000, 899'000'000}, .1).reaches(kImbalanceBound));
  CHECK(imbalance({0, 1'000'000'000}, 1e-6).reaches(kImbalanceBound));
  for (double const planned : {1e-300, 1e-9, 1 - 1e-9}) CHECK(std::isfinite(imbalance({1'000'000, 1'000'000}, planned).log_e));
}
