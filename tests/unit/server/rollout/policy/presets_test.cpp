#include "server/rollout/policy/presets.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

/// The devices that a stage of a preset reaches: presets give numbers, and 100 % last.
std::int64_t devices_of(StageSpec const& stage, std::int64_t reach) { return stage.is_whole() ? reach : *stage.size.devices; }

void check_stages(Policy const& policy, std::int64_t reach) {
  std::int64_t before = 0;
  for (auto const& stage : policy.stages) {
    auto const size = devices_of(stage, reach);
    CHECK(size > before);
    CHECK(size <= reach);
    CHECK(stage.window >= 1);
    CHECK(stage.grow >= 1);
    CHECK(stage.every > Millis{0});
    CHECK(stage.deadline > Millis{0});
    if (stage.cap.devices) {
      CHECK(*stage.cap.devices >= size);
      CHECK(*stage.cap.devices <= reach);
    }
    before = size;
  }
  CHECK(policy.stages.back().is_whole());
  // The rest is asked for nothing more, in a tiny fleet for something less.
  auto const asked = policy.certify.size(), stages = policy.stages.size();
  CHECK((asked == std::max<std::size_t>(1, stages - 1) || (asked == stages && policy.certify.back() >= policy.certify[asked - 2])));
}

}  // namespace

TEST_CASE("a preset is a sound policy for every fleet, and its text reads back to it") {
  for (auto const name : kPresetNames)
    for (std::int64_t const targeted : {1, 2, 3, 4, 12, 59, 60, 62, 63, 64, 100, 599, 600, 631, 632, 1'000, 5'999, 6'000, 6'316, 60'000, 64'000, 100'000, 1'000'000}) {
      CAPTURE(name);
      CAPTURE(targeted);
      auto const policy = preset_for(name, {targeted});
      auto const held = std::llround(policy.holdback * static_cast<double>(targeted));
      check_stages(policy, targeted - held);
      CHECK(harm_budget(policy) <= alpha::kTotal + 1e-12);
      CHECK(policy.compares());
      auto const text = encode(policy);
      auto const again = decode_policy(text);
      REQUIRE_MESSAGE(again.has_value(), (again ? std::string() : again.error().detail + text));
      CHECK(*again == policy);
    }
}

TEST_CASE("windows of a preset are no shorter than two outcomes") {
  for (auto const name : kPresetNames) {
    auto const policy = preset_for(name, {1'000, 1, std::chrono::hours{5}});
    CHECK(policy.stage(1).every == std::chrono::hours{10});
  }
}
