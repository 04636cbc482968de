#include "server/store/lanes.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace fleet;
using namespace fleet::store;

namespace {

/// Lanes whose jobs only say what they are.
struct Queue {
  Lanes lanes;
  std::vector<std::string> ran;

  bool put(Lane lane, std::string name) {
    Lanes::Item item{[](Tx&) -> Result<void> { return {}; }, [this, name = std::move(name)](Result<void> const&) { ran.push_back(name); }};
    return lanes.put(lane, item);
  }
  /// The jobs of one group whose every job takes so long.
  std::vector<std::string> group(Millis each) {
    ran.clear();
    Lanes::Group group;
    for (auto items = lanes.next(group); !items.empty(); items = lanes.next(group)) {
      for (auto const& item : items) item.done({});
      group.age += each;
    }
    return ran;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("verbs go before whatever came before them") {
  Queue queue;
  REQUIRE(queue.put(Lane::upkeep, "prune"));
  REQUIRE(queue.put(Lane::telemetry, "report"));
  REQUIRE(queue.put(Lane::devices, "poll"));
  REQUIRE(queue.put(Lane::verbs, "pause"));
  CHECK(queue.group(Millis{1}) == Names{"pause", "poll", "report", "prune"});
  CHECK(queue.lanes.empty());
}

TEST_CASE("a group ends in time, and no lane waits for the others to be empty") {
  Queue queue;
  for (int i = 0; i < 100; ++i)
    for (auto const lane : {Lane::upkeep, Lane::telemetry, Lane::devices}) REQUIRE(queue.put(lane, std::string(kLaneRules[static_cast<std::size_t>(lane)].name)));
  auto const first = queue.group(Millis{5});
  CHECK(first == Names{"devices", "devices", "devices", "telemetry", "telemetry", "upkeep"});
  REQUIRE(queue.put(Lane::verbs, "verbs"));
  CHECK(queue.group(Millis{5}).front() == "verbs");
  CHECK(queue.group(Millis{1'000}) == Names{"devices", "telemetry", "upkeep"});
}

TEST_CASE("a group has a bound on its jobs, however short they are") {
  Queue queue;
  for (int i = 0; i < 3'000; ++i) REQUIRE(queue.put(Lane::devices, "poll"));
  CHECK(queue.group(Millis{0}).size() == Lanes::Group::kJobsMax);
}

TEST_CASE("a full lane refuses, and only it") {
  Queue queue;
  for (std::size_t i = 0; i < kLaneRules[2].waiting_max; ++i) REQUIRE(queue.put(Lane::telemetry, "report"));
  CHECK(!queue.put(Lane::telemetry, "one more"));
  CHECK(queue.put(Lane::verbs, "pause"));
  auto const figures = queue.lanes.figures();
  CHECK(figures[2].waiting == kLaneRules[2].waiting_max);
  CHECK(figures[2].refused == 1);
  CHECK(figures[0].waiting == 1);
  CHECK(figures[0].refused == 0);
}
