#include "server/simulation/scenario.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fleet;
using namespace fleet::simulation;

TEST_CASE("a scenario says what it is, and what it leaves out is well") {
  auto const all = decode_scenario(R"({"base":0.02,"harm":0.05,"kind":"fails","offline":0.3,"offline_hours":6,"noise_spread":0.5,"sites":20,"hardware":3,
    "site_shock":{"share":0.25,"hours":2},"drift_to":0.04,"metric":{"name":"accuracy","mean":0.95,"between":0.02,"shift":-0.01,"samples_per_hour":200},
    "server_outage":"20m","clock_step":"-1h","poll":"5m","long_poll":true,"day_night":0.3,"harm_hardware":2,"probation":"10m","bytes":1000})");
  REQUIRE(all.has_value());
  CHECK(all->shock_share == doctest::Approx(.25));
  CHECK(all->clock_step == -std::chrono::hours(1));
  CHECK(all->server_outage == std::chrono::minutes(20));
  CHECK(all->metric->shift == doctest::Approx(-.01));
  CHECK(all->harmful());
  auto const none = decode_scenario("{}");
  REQUIRE(none.has_value());
  CHECK(!none->harmful());
  CHECK(none->harm == doctest::Approx(none->base));
}

TEST_CASE("what harms is worse than before, whichever way") {
  auto const harmful = [](std::string_view text) { return decode_scenario(text).value().harmful(); };
  CHECK(!harmful(R"({"base":0.05,"harm":0.05})"));
  CHECK(!harmful(R"({"base":0.05,"harm":0.01})"));
  CHECK(harmful(R"({"base":0.01,"harm":0.013})"));
  CHECK(!harmful(R"({"kind":"silent"})"));
  CHECK(harmful(R"({"kind":"silent","harm":0.01})"));
  CHECK(!harmful(R"({"kind":"metric","metric":{"name":"a","mean":1}})"));
  CHECK(harmful(R"({"kind":"metric","metric":{"name":"a","mean":1,"shift":1}})"));
}

TEST_CASE("every fault of a scenario is named by its place") {
  auto const refused = decode_scenario(R"({"base":2,"kind":"sleeps","site_shock":{"share":-1,"days":1},"poll":"0s","clock_step":"soon","haste":1})", "/scenario");
  REQUIRE(!refused);
  auto const error = refused.error();
  CHECK(error.kind == Kind::bad_input);
  for (auto const* const pointer : {"/scenario/base", "/scenario/kind", "/scenario/site_shock/share", "/scenario/site_shock/days", "/scenario/poll", "/scenario/clock_step", "/scenario/haste"}) {
    CAPTURE(pointer);
    CHECK(std::count_if(error.errors.begin(), error.errors.end(), [&](FieldError const& one) { return one.pointer == pointer; }) == 1);
  }
  CHECK(!decode_scenario("[]"));
  CHECK(!decode_scenario("{"));
}
