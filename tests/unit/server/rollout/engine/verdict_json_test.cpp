#include "server/rollout/engine/verdict_json.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

using namespace fleet;
using namespace fleet::rollout;

namespace {

std::string said(std::vector<GateVerdict> const& gates) {
  Verdict verdict;
  verdict.gates = gates;
  return updated_verdict("{}", verdict, {}, SysTime{});
}

}  // namespace

TEST_CASE("how near a gate is to its verdict goes by the logarithm of its evidence, or by what it has of what it needs") {
  struct Case {
    std::string_view test;
    Ruling decision;
    double e_value, threshold;
    bool counts;
    double ratio;
  };
  constexpr auto kCases = std::to_array<Case>({
      {"harm", Ruling::hold, 1, 1000, false, 0},
      {"harm", Ruling::hold, 10, 1000, false, 1. / 3},
      {"harm", Ruling::hold, 100, 1000, false, 2. / 3},
      {"harm", Ruling::hold, .001, 1000, false, 0},
      {"harm", Ruling::hold, 0, 1000, false, 0},
      {"harm", Ruling::rollback, 1e300, 1000, false, 1},
      {"harm", Ruling::pause, 2, 1000, false, 1},   // latched: it stands, whatever came since
      {"harm", Ruling::hold, 2000, 1000, false, 1}, // accepted by a person: the next one that fails stops it
      {"harm", Ruling::hold, .3, 1, false, 0},      // of a handful of devices the first counts
      {"safe", Ruling::hold, 10, 100, false, .5},
      {"safe", Ruling::promote, 200, 100, false, 1},
      {"safe", Ruling::hold, 3, 12, true, .25},
      {"safe", Ruling::hold, 0, 12, true, 0},
      {"safe", Ruling::promote, 0, 0, true, 1},
      {"safe", Ruling::hold, 2000, 1000, false, 0}, // evidence that the stage is to hold
      {"win", Ruling::hold, 10, 100, false, .5},
  });
  for (auto const& one : kCases) {
    CAPTURE(one.test);
    CAPTURE(one.e_value);
    GateVerdict gate{"g", one.test, one.decision, one.e_value, one.threshold, {}, {}};
    if (one.counts) gate.evidence = {{"have", one.e_value}, {"need", one.threshold}};
    auto const found = nearness_of(said({gate}));
    REQUIRE(found.size() == 1);
    CHECK(found[0].gate == "g");
    CHECK(found[0].test == one.test);
    CHECK(found[0].ratio == doctest::Approx(one.ratio));
  }
}

TEST_CASE("two gates of one name count as the one that decides") {
  auto const found = nearness_of(said({{"coverage accuracy", "safe", Ruling::hold, .2, .8, {{"have", .2}, {"need", .8}}, {}},
                                       {"coverage accuracy", "safe", Ruling::promote, .9, .5, {{"have", .9}, {"need", .5}}, {}},
                                       {"sanity", "harm", Ruling::hold, 10, 1000, {}, {}},
                                       {"sanity", "harm", Ruling::hold, 100, 1000, {}, {}}}));
  REQUIRE(found.size() == 2);
  CHECK(found[0].ratio == doctest::Approx(.25));
  CHECK(found[1].ratio == doctest::Approx(2. / 3));
}

TEST_CASE("before the first verdict no gate is near") {
  CHECK(nearness_of(first_verdict(0)).empty());
  CHECK(nearness_of("{}").empty());
  CHECK(nearness_of("").empty());
}
