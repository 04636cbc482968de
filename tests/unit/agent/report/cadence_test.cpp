#include "agent/report/cadence.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace fleet::agent {
namespace {

constexpr Millis kMinute = std::chrono::minutes{1};

TEST_CASE("samples are told each interval after a start and while something is judged, an hour longer, and then each half hour") {
  MonoTime const start{Millis{12'345}};
  Cadence cadence(kMinute, 30 * kMinute, start);
  std::vector<int> told;
  for (int minute = 1; minute <= 300; ++minute) {
    auto const now = start + minute * kMinute;
    if (minute == 170) cadence.judges(now);
    if (!cadence.is_due(now)) continue;
    cadence.told(now);
    told.push_back(minute);
  }
  std::vector<int> wanted;
  for (int minute = 1; minute < 60; ++minute) wanted.push_back(minute);
  for (int minute : {89, 119, 149}) wanted.push_back(minute);
  for (int minute = 170; minute < 230; ++minute) wanted.push_back(minute);
  for (int minute : {259, 289}) wanted.push_back(minute);
  CHECK(told == wanted);
}

TEST_CASE("an owner who wants them always gets them always, and what was not told in time is due until it is") {
  MonoTime const start{Millis{1}};
  Cadence cadence(Millis{100}, Millis{100}, start);
  auto const late = start + 5 * Cadence::kLookedAt;
  CHECK(cadence.is_due(late));
  CHECK(cadence.is_due(late + Millis{50}));
  cadence.told(late);
  CHECK_FALSE(cadence.is_due(late + Millis{99}));
  CHECK(cadence.is_due(late + Millis{100}));
}

}  // namespace
}  // namespace fleet::agent
