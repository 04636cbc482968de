#include "server/simulation/history.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::simulation;

namespace {

/// @param away  of 1,000 devices, by the hour of the day
template <class Away>
rollout::Past past_of(std::int64_t hours, Away const& away, std::int64_t returned) {
  rollout::Past out{{}, 2'000, 40, 1'000, 900};
  for (std::int64_t hour = 0; hour < hours; ++hour) out.hours.push_back({480'000 + hour, 1'000, away((480'000 + hour) % 24), returned});
  return out;
}

}  // namespace

TEST_CASE("a fleet's past gives the chances that its future is simulated with") {
  // A tenth is away at any time, for twelve hours a time: 100 / 12 come back in an hour.
  auto const learned = learn(past_of(240, [](auto) { return 100; }, 8), {});
  CHECK(learned.scenario.base == doctest::Approx(.02));
  CHECK(learned.scenario.offline == doctest::Approx(.1));
  CHECK(learned.scenario.offline_hours == doctest::Approx(12.5));
  CHECK(learned.scenario.day_night == 0);
  CHECK(learned.scenario.poll == std::chrono::minutes(15));
  CHECK(learned.unknown.empty());
  CHECK(learned.from.front() == "base: 40 of 2000 attempts failed");
}

TEST_CASE("what comes and goes with the hour of the day is told from what is away by chance") {
  // 300 of 1,000 sleep for eight hours; 100 are away besides, twelve hours each: 300 / 24 + 100 / 12 come back in an hour.
  auto const learned = learn(past_of(240, [](auto hour) { return hour < 8 ? 400 : 100; }, 21), {});
  CHECK(learned.scenario.day_night == doctest::Approx(.3));
  CHECK(learned.scenario.offline == doctest::Approx(.1));
  CHECK(learned.scenario.offline_hours == doctest::Approx(12).epsilon(.03));
}

TEST_CASE("a past that is too short says so, and leaves what was given") {
  Scenario given;
  given.base = .04;
  given.offline = .33;
  auto const nothing = learn({}, given);
  CHECK(nothing.scenario.base == .04);
  CHECK(nothing.scenario.offline == .33);
  CHECK(nothing.from.empty());
  CHECK(nothing.unknown.size() == 3);
  auto const unreturned = learn(past_of(48, [](auto) { return 1'000; }, 0), given);
  CHECK(unreturned.scenario.offline == .95);  // the most that a scenario takes
  CHECK(unreturned.scenario.offline_hours == 12);
  CHECK(unreturned.unknown.size() == 1);
}
