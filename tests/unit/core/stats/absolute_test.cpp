#include "core/stats/absolute.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace fleet::stats;

TEST_CASE("a harm gate trips at the published counts, and not at one bad device fewer") {
  struct Case {
    double p0, alpha;
    std::int64_t bad, devices;
  };
  for (auto const& c : {Case{.01, .01, 2, 5},
                        {.01, .01, 3, 10},
                        {.01, .01, 5, 50},
                        {.01, .01, 7, 100},
                        {.01, .01, 26, 1000},
                        {.001, .01, 2, 20},
                        {.001, .01, 3, 100},
                        {.001, .01, 8, 1000},
                        {.02, .001, 3, 4},
                        {.05, .001, 3, 3},
                        {.05, .001, 4, 4}}) {
    CAPTURE(c.p0);
    CAPTURE(c.devices);
    CHECK(trips_at(c.devices, c.p0, c.alpha) == c.bad);
    CHECK(harm({c.bad, c.devices}, c.p0).reaches(1 / c.alpha));
    CHECK_FALSE(harm({c.bad - 1, c.devices}, c.p0).reaches(1 / c.alpha));
  }
}

TEST_CASE("healthy devices are never evidence of harm, however many there are") {
  for (std::int64_t const devices : {0, 1, 10, 5'000, 1'000'000})
    for (double const p0 : {.001, .01, .02, .05, .3}) {
      CAPTURE(devices);
      CAPTURE(p0);
      CHECK(harm({0, devices}, p0).log_e <= 1e-9);
    }
}

TEST_CASE("too few devices cannot trip, and it is said how many could") {
  CHECK_FALSE(trips_at(1, .02, .001).has_value());
  CHECK_FALSE(trips_at(0, .02, .001).has_value());
  CHECK(harm_needs(.05, .001) == 3);
}

TEST_CASE("whatever share is asked for, looking for the devices that it takes ends") {
  for (double const p0 : {5e-324, 1e-300, 1e-15, 1e-9, .5, .9, .999, .99999, .99999999, .9999999999, .99999999999999989}) {
    CAPTURE(p0);
    for (double const alpha : {.005, .01}) {
      auto const needed = harm_needs(p0, alpha);
      CHECK(needed.has_value() == (p0 < .999999));
      if (!needed) continue;
      CHECK(harm({*needed, *needed}, p0).reaches(1 / alpha));
      if (*needed > 1) CHECK_FALSE(harm({*needed - 1, *needed - 1}, p0).reaches(1 / alpha));
    }
    CHECK(certify_needs(p0).has_value() == (p0 > 1e-8));
    for (std::int64_t const devices : {std::int64_t{1}, std::int64_t{1'000}, kDevicesMax}) CHECK(trips_at(devices, p0, .01).value_or(devices) <= devices);
  }
}

TEST_CASE("healthy devices certify at the published counts") {
  struct Case {
    double pm;
    std::int64_t devices;
  };
  for (auto const& c : {Case{.30, 10}, {.10, 34}, {.05, 70}, {.01, 358}, {.001, 3590}}) {
    CAPTURE(c.pm);
    auto const needed = certify_needs(c.pm).value();
    CHECK(std::abs(static_cast<double>(needed - c.devices)) <= 1);
    CHECK(certify({0, needed}, c.pm).reaches(kCertifyBound));
    CHECK_FALSE(certify({0, needed - 1}, c.pm).reaches(kCertifyBound));
  }
  CHECK(certifiable(4) <= .58);
  CHECK(certifiable(4) > .57);
  CHECK(certifiable(20) < .165);
  CHECK(certifiable(0) == 1);
  CHECK(certify({0, 37}, .10).reaches(kCertifyBound));
  CHECK(certify({1, 36}, .17).reaches(kCertifyBound));
}

TEST_CASE("the certificate of a small demonstration: 4, 20 and 36 healthy devices meet 60, 20 and 12 percent") {
  CHECK(certify({0, 4}, .60).reaches(kCertifyBound));
  CHECK(certify({0, 20}, .20).reaches(kCertifyBound));
  CHECK(certify({0, 36}, .12).reaches(kCertifyBound));
  CHECK_FALSE(certify({1, 4}, .60).reaches(kCertifyBound));
}

TEST_CASE("what certifies depends on the evidence asked for: tiny fleets ask for 3 or 6") {
  CHECK(certify_needs(.5, 3).value() < certify_needs(.5, 6).value());
  CHECK(certify_needs(.5, 6).value() < certify_needs(.5).value());
  for (double const bound : {3., 6., 20., 1000.}) {
    CAPTURE(bound);
    auto const needed = certify_needs(.9, bound).value();
    CHECK(certify({0, needed}, .9).reaches(bound));
    CHECK_FALSE((needed > 1 && certify({0, needed - 1}, .9).reaches(bound)));
    for (std::int64_t const devices : {1, 4, 60, 3'590}) {
      double const share = certifiable(devices, bound);
      CHECK((share == 1 || certify({0, devices}, share).reaches(bound)));
      CHECK_FALSE((share > .001 && certify({0, devices}, share - .001).reaches(bound)));
    }
  }
}

TEST_CASE("healthy devices by the million weigh about the log of their number, so that later harm is not lost in a silence") {
  struct Case {
    std::int64_t bad, devices;
    double p0, log_e;
  };
  for (auto const& c : {Case{0, 5'000, .01, -7.308233961974},  // by quadrature with mpmath's 60 digits
                        {0, 1'000'000, .01, -12.59683794352},
                        {5'000, 1'000'000, .01, -11.90393852833},
                        {9'000, 1'000'000, .01, -10.30339710746},
                        {0, 1'000'000'000, .3, -20.98388134035},
                        {270'000'000, 1'000'000'000, .3, -18.68129647236},
                        {0, 1'000'000'000, .001, -18.39427831907}}) {
    CAPTURE(c.devices);
    CAPTURE(c.bad);
    CHECK(harm({c.bad, c.devices}, c.p0).log_e == doctest::Approx(c.log_e).epsilon(1e-6));
  }
}

TEST_CASE("extreme counts stay finite") {
  CHECK(std::isfinite(harm({1'000'000, 1'000'000}, .001).log_e));
  CHECK(std::isfinite(harm({1'000'000, 1'000'000}, .001).e_value()));
  CHECK(std::isfinite(certify({1'000'000, 1'000'000}, .5).log_e));
  CHECK(certify({1'000'000, 1'000'000}, .5).e_value() < 1);
}
