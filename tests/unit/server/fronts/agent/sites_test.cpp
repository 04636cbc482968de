#include "server/delivery/dispatch.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

/// Two devices of one site that run release 1 and are told release 2, one at one time.
struct Two : RolloutFixture {
  std::string id;
  Two() {
    for (auto const version : {"1", "2"}) add_release(version, {"cam-a"});
    add_devices(2, "cam-a", R"({"site":"a"})");
    REQUIRE(reaches(make("1", kPlainPolicy)->id, State::completed));
    id = make("2", R"({"stages":[{"percent":100}],"limits":{"per":"site"}})")->id;
  }
  delivery::Settled settle(std::int64_t n, std::int64_t acknowledged) {
    return *store->write_value<delivery::Settled>(store::Lane::devices, [&](store::Tx& tx) { return delivery::settle(tx, *engine, n, nullptr, acknowledged, clock.wall()); });
  }
  bool joins(std::int64_t n) { return delivery::plan_device(store->reader(), *engine, n, clock.wall())->joins; }
  std::string places() { return text({"test.places", "SELECT count(*) FROM rollout_places"}); }
};

}  // namespace

TEST_CASE("two polls of one site that were both free to begin: the second finds the place taken when it is written") {
  Two f;
  REQUIRE(f.joins(1));
  REQUIRE(f.joins(2));
  auto const first = f.settle(1, 0), second = f.settle(2, 0);
  CHECK(f.state_of(f.id, 1) == "dispatched");
  CHECK(f.state_of(f.id, 2).empty());
  CHECK(f.places() == "1");
  CHECK(first.record.targets.find("models/reader/2/") != std::string::npos);
  CHECK(second.record.targets.find("models/reader/2/") == std::string::npos);
}

TEST_CASE("an abort frees the place of a device that was told when its poll acknowledges the directive without the order") {
  Two f;
  auto const told = f.settle(1, 0).record.sequence;
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, f.id, f.deed()); }));
  f.look();
  auto const newer = f.settle(1, told).record.sequence;  // it speaks of the order: it may be at it
  CHECK(newer > told);
  CHECK(f.places() == "1");
  f.settle(1, told);
  CHECK(f.places() == "1");
  f.settle(1, newer);
  CHECK(f.places() == "0");
}
