#include "server/rollout/engine/membership.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

Places places_of(std::string const& salt, std::vector<std::pair<std::string, int>> const& strata) {
  Places out;
  for (auto const& [stratum, devices] : strata)
    for (int i = 0; i < devices; ++i) out[stratum].push_back(place(salt, stratum + "-" + std::to_string(i)));
  return out;
}

StageSpec percent(double value) { return {value, {}, Millis{0}, 0, Millis{0}}; }
StageSpec devices(std::int64_t count) { return {{}, count, Millis{0}, 0, Millis{0}}; }

std::int64_t members(Places const& places, StageStratum const& one) {
  auto const& all = places.at(one.stratum);
  return std::count_if(all.begin(), all.end(), [&](std::int64_t p) { return is_member(p, one.threshold); });
}

}  // namespace

TEST_CASE("each stage holds exactly the planned count of each stratum, and keeps who was in it before") {
  auto places = places_of("salt", {{"cam-a", 20}, {"cam-b", 20}, {"lonely", 1}, {"many", 997}});
  auto const plan = plan_stages({percent(10), percent(50), percent(100)}, 0, places);
  std::map<std::string, std::int64_t> threshold_before;
  for (auto const& one : plan) {
    if (one.stage == 0) continue;
    CAPTURE(one.stage);
    CAPTURE(one.stratum);
    CHECK(members(places, one) == one.devices);
    CHECK(one.threshold >= threshold_before[one.stratum]);
    threshold_before[one.stratum] = one.threshold;
  }
}

TEST_CASE("counts of stages: a percentage rounds up, at least one a stratum; a count is split by size") {
  struct Case {
    StageSpec stage;
    std::vector<std::pair<std::string, int>> strata;
    std::vector<std::int64_t> expected;
  };
  for (auto const& c : {Case{percent(10), {{"a", 20}, {"b", 20}}, {2, 2}},
                        {percent(10), {{"a", 21}, {"b", 1}}, {3, 1}},
                        {percent(10), {{"a", 30}}, {3}},
                        {percent(.001), {{"a", 5}}, {1}},
                        {percent(100), {{"a", 5}, {"b", 3}}, {5, 3}},
                        {devices(4), {{"a", 20}, {"b", 20}}, {2, 2}},
                        {devices(3), {{"a", 20}, {"b", 10}}, {2, 1}},
                        {devices(100), {{"a", 2}, {"b", 1}}, {2, 1}},
                        {devices(1), {{"a", 5}, {"b", 5}}, {1, 0}}}) {
    auto places = places_of("s", c.strata);
    auto const plan = plan_stages({c.stage}, 0, places);
    std::vector<std::int64_t> counts;
    for (auto const& one : plan)
      if (one.stage == 1) counts.push_back(one.devices);
    CHECK(counts == c.expected);
  }
}

TEST_CASE("a stage never shrinks, even when counts and percentages mix") {
  auto places = places_of("s", {{"a", 100}});
  auto const plan = plan_stages({devices(50), percent(10), percent(100)}, 0, places);
  CHECK(plan[1].devices == 50);
  CHECK(plan[2].devices == 50);
  CHECK(plan[2].threshold == plan[1].threshold);
  CHECK(plan[3].threshold == kEverybody);
}

TEST_CASE("devices that join later fall in with the share of their stratum, and all of them in the last stage") {
  auto places = places_of("salt", {{"a", 1000}});
  auto const plan = plan_stages({percent(20), percent(100)}, 0, places);
  int early = 0;
  for (int i = 0; i < 10'000; ++i) early += is_member(place("salt", "late-" + std::to_string(i)), plan[1].threshold);
  CHECK(early > 1'500);
  CHECK(early < 2'500);
  CHECK(is_member(INT64_MAX, plan[2].threshold));
}

TEST_CASE("another salt draws other canaries") {
  std::set<std::string> first, second;
  for (auto [salt, chosen] : {std::pair{"one", &first}, std::pair{"two", &second}}) {
    auto places = places_of(salt, {{"a", 200}});
    auto const plan = plan_stages({percent(10)}, 0, places);
    for (int i = 0; i < 200; ++i)
      if (is_member(place(salt, "a-" + std::to_string(i)), plan[1].threshold)) chosen->insert("a-" + std::to_string(i));
  }
  CHECK(first.size() == 20);
  CHECK(second.size() == 20);
  CHECK(first != second);
}

TEST_CASE("the place is the first 63 bits of SHA-256(salt, 0, id), and does not confuse salt and id") {
  CHECK(place("salt", "cam-01") == place("salt", "cam-01"));
  CHECK(place("a", "bc") != place("ab", "c"));
  CHECK(place("salt", "cam-01") >= 0);
  CHECK(threshold_of_share(.5) == std::int64_t{1} << 62);
  CHECK(threshold_of_share(1) == kEverybody);
  CHECK(threshold_of_share(0) == 0);
}

TEST_CASE("a stratum is named by hardware and labels, absent ones as a dash") {
  wire::Labels const labels{{"region", "north"}};
  CHECK(stratum_of({"hardware"}, "cam-a", labels) == "cam-a");
  CHECK(stratum_of({"hardware", "region"}, "cam-a", labels) == "cam-a/north");
  CHECK(stratum_of({"site", "region"}, "cam-a", labels) == "-/north");
  CHECK(stratum_of({}, "cam-a", labels) == "all");
}

TEST_CASE("a holdback is the highest places of each stratum, to the nearest device; stages are of the rest") {
  auto places = places_of("salt", {{"a", 100}, {"few", 4}});
  auto const plan = plan_stages({percent(50), percent(100)}, .1, places);
  auto const find = [&](int stage, std::string_view stratum) {
    return std::find_if(plan.begin(), plan.end(), [&](StageStratum const& one) { return one.stage == stage && one.stratum == stratum; });
  };
  REQUIRE(find(kHeldBack, "a") != plan.end());
  auto const held = *find(kHeldBack, "a");
  CHECK(held.devices == 10);
  CHECK(members(places, held) == 90);
  CHECK(find(kWhole, "a")->devices == 100);
  CHECK(find(1, "a")->devices == 45);
  CHECK(find(2, "a")->devices == 90);
  CHECK(find(kHeldBack, "few") == plan.end());  // 0.4 of a device
  CHECK(find(2, "few")->devices == 4);
}
