#include "server/rollout/engine/membership.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

using Sizes = std::vector<std::pair<std::string, int>>;

Places places_of(std::string const& salt, Sizes const& strata) {
  Places out;
  for (auto const& [stratum, devices] : strata)
    for (int i = 0; i < devices; ++i) out[stratum].push_back(place(salt, stratum + "-" + std::to_string(i)));
  return out;
}

StageSpec percent(double value) { return {.size = {value, {}}}; }
StageSpec devices(std::int64_t count, std::int64_t window = 0, Amount cap = {}) { return {.size = {{}, count}, .window = window, .cap = cap}; }

std::int64_t members(Places const& places, Ladder const& ladder, int step, std::string const& stratum) {
  auto const& all = places.at(stratum);
  return std::count_if(all.begin(), all.end(), [&](std::int64_t p) { return is_member(p, ladder.threshold(step, stratum)); });
}

std::int64_t members(Places const& places, Ladder const& ladder, int step) {
  std::int64_t out = 0;
  for (auto const& [stratum, all] : places) out += members(places, ladder, step, stratum);
  return out;
}

}  // namespace

TEST_CASE("each step of a ladder holds exactly its count, and keeps who was in it before; stages are steps") {
  auto places = places_of("salt", {{"cam-a", 20}, {"cam-b", 20}, {"lonely", 1}, {"many", 997}});
  auto const ladder = make_ladder({devices(7, 3), percent(10), percent(50), percent(100)}, 0, places);
  REQUIRE(ladder.last() > 30);
  CHECK(ladder.counts.front() == 0);
  CHECK(ladder.reach() == 1038);
  std::map<std::string, std::int64_t> before;
  for (int step = 0; step <= ladder.last(); ++step) {
    CAPTURE(step);
    CHECK(members(places, ladder, step) == ladder.counts[static_cast<std::size_t>(step)]);
    if (step > 0) CHECK(ladder.counts[static_cast<std::size_t>(step)] > ladder.counts[static_cast<std::size_t>(step - 1)]);
    for (auto const& [stratum, all] : places) {
      CHECK(ladder.threshold(step, stratum) >= before[stratum]);
      before[stratum] = ladder.threshold(step, stratum);
    }
  }
  std::vector<std::int64_t> sizes;
  for (auto const step : ladder.stage_size) sizes.push_back(ladder.counts[static_cast<std::size_t>(step)]);
  CHECK(sizes == std::vector<std::int64_t>{7, 2 + 2 + 1 + 100, 10 + 10 + 1 + 499, 1038});
  CHECK(ladder.stage_cap == ladder.stage_size);
}

TEST_CASE("counts of stages: a percentage rounds up, at least one a stratum; a count is split by size") {
  struct Case {
    StageSpec stage;
    Sizes strata;
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
    auto const ladder = make_ladder({c.stage}, 0, places);
    std::vector<std::int64_t> counts;
    for (auto const& [stratum, size] : c.strata) counts.push_back(members(places, ladder, ladder.stage_size[0], stratum));
    CHECK(counts == c.expected);
  }
}

TEST_CASE("a stage never shrinks, even when counts and percentages mix") {
  auto places = places_of("s", {{"a", 100}});
  auto const ladder = make_ladder({devices(50), percent(10), percent(100)}, 0, places);
  CHECK(ladder.stage_size[1] == ladder.stage_size[0]);
  CHECK(members(places, ladder, ladder.stage_size[1]) == 50);
  CHECK(ladder.stage_size[2] == ladder.last());
  CHECK(ladder.threshold(ladder.last(), "a") == kEverybody);
}

TEST_CASE("a stage's windows and those up to its cap are steps") {
  auto places = places_of("s", {{"a", 1000}, {"b", 500}});
  auto const ladder = make_ladder({devices(160, 40, {{}, 600}), percent(100)}, 0, places);
  for (std::int64_t const count : {40, 80, 120, 160, 200, 400, 560, 600}) {
    CAPTURE(count);
    CHECK(ladder.counts[static_cast<std::size_t>(ladder.step_of(count))] == count);
  }
  CHECK(ladder.counts[static_cast<std::size_t>(ladder.stage_size[0])] == 160);
  CHECK(ladder.counts[static_cast<std::size_t>(ladder.stage_cap[0])] == 600);
  for (auto const step : {ladder.step_of(300), ladder.step_of(600)}) {
    auto const all = ladder.counts[static_cast<std::size_t>(step)];
    CHECK(members(places, ladder, step, "a") == doctest::Approx(static_cast<double>(all) * 2 / 3).epsilon(.01));
  }
  CHECK(ladder.step_of(1'000'000) == ladder.last());
  CHECK(ladder.step_of(0) == 0);
}

TEST_CASE("a cap below the stage's size is the size") {
  auto places = places_of("s", {{"a", 100}});
  auto const ladder = make_ladder({devices(50, 10, {{}, 20}), percent(100)}, 0, places);
  CHECK(ladder.stage_cap[0] == ladder.stage_size[0]);
}

TEST_CASE("devices that join later fall in with the share of their stratum; in a stratum that nobody saw, of all") {
  auto places = places_of("salt", {{"a", 1000}});
  auto const ladder = make_ladder({percent(20), percent(100)}, 0, places);
  for (auto const* stratum : {"a", "unseen"}) {
    CAPTURE(stratum);
    int early = 0;
    for (int i = 0; i < 10'000; ++i) early += is_member(place("salt", "late-" + std::to_string(i)), ladder.threshold(ladder.stage_size[0], stratum));
    CHECK(early > 1'500);
    CHECK(early < 2'500);
    CHECK(ladder.threshold(0, stratum) == 0);
    CHECK(is_member(INT64_MAX, ladder.threshold(ladder.last(), stratum)));
  }
}

TEST_CASE("a ladder of nobody has a first step of nobody and a last one of whoever comes; stages of all are there, earlier ones before") {
  Places nobody;
  auto const ladder = make_ladder({percent(10), percent(100)}, .1, nobody);
  CHECK(ladder.counts == std::vector<std::int64_t>{0, 0});
  CHECK(ladder.stage_size == std::vector<int>{0, 1});
  CHECK(ladder.stage_cap == std::vector<int>{0, 1});
  CHECK(ladder.threshold(0, "new") == 0);
  CHECK(ladder.threshold(1, "new") == kEverybody);
}

TEST_CASE("another salt draws other canaries") {
  std::set<std::string> first, second;
  for (auto [salt, chosen] : {std::pair{"one", &first}, std::pair{"two", &second}}) {
    auto places = places_of(salt, {{"a", 200}});
    auto const ladder = make_ladder({percent(10)}, 0, places);
    for (int i = 0; i < 200; ++i)
      if (is_member(place(salt, "a-" + std::to_string(i)), ladder.threshold(ladder.stage_size[0], "a"))) chosen->insert("a-" + std::to_string(i));
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
  auto const ladder = make_ladder({percent(50), percent(100)}, .1, places);
  CHECK(ladder.held == 10);
  CHECK(ladder.reach() == 94);
  CHECK(ladder.sizes.at("a") == 100);
  CHECK_FALSE(ladder.held_from.contains("few"));  // 0.4 of a device
  auto const from = ladder.held_from.at("a");
  CHECK(std::count_if(places.at("a").begin(), places.at("a").end(), [&](std::int64_t p) { return p >= from; }) == 10);
  CHECK(members(places, ladder, ladder.stage_size[0], "a") == 45);
  CHECK(members(places, ladder, ladder.last(), "a") == 90);
  CHECK(members(places, ladder, ladder.last(), "few") == 4);
  CHECK(ladder.threshold(ladder.last(), "a") <= from);
}

TEST_CASE("a ladder is read back as it was written; what is none is corrupt") {
  auto places = places_of("salt", {{"a", 300}, {"b/north", 7}, {"c", 1}});
  auto const ladder = make_ladder({devices(20, 5, {40., {}}), percent(50), percent(100)}, .05, places);
  auto const back = decode_ladder(encode(ladder));
  REQUIRE(back.has_value());
  CHECK(*back == ladder);
  Places nobody;
  auto const empty = make_ladder({percent(100)}, 0, nobody);
  CHECK(*decode_ladder(encode(empty)) == empty);
  for (auto const* text : {"", "[]", "{}", R"({"counts":[0,1],"stage_size":[1],"stage_cap":[1],"held":0})",
                           R"({"counts":[0,1],"stage_size":[1],"stage_cap":[1],"held":0,"strata":{"a":{"devices":1,"thresholds":[0]}}})",
                           R"({"counts":[0,"1"],"stage_size":[1],"stage_cap":[1],"held":0,"strata":{}})"}) {
    CAPTURE(text);
    CHECK_FALSE(decode_ladder(text).has_value());
  }
}
