#include "server/registry/groups.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

constexpr auto kAtOnce = R"({"stages":[{"percent":100}]})";

struct Grouped : RolloutFixture {
  Grouped() {
    add_release("1", {"cam-a"});
    add_devices(6, "cam-a");
  }
  Result<registry::Group> list(std::vector<std::string> ids, bool fresh) { return registry::put_group(*store, {"few", {}, std::move(ids)}, {.must_be_new = fresh}, deed()); }
};

}  // namespace

TEST_CASE_FIXTURE(Grouped, "who joins a group is told of its rollout at the next poll, who leaves it leaves the rollout then") {
  REQUIRE(list({"cam-a-0", "cam-a-1"}, true));
  auto const id = make("1", kAtOnce, true, "group=few")->id;
  behaviour = [](std::string const& device, auto const&) { return device == "cam-a-1" ? Behaviour::lingers : Behaviour::works; };
  step();
  CHECK(running(1) == "1");
  CHECK(state_of(id, 2) == "testing");
  CHECK(decide(3).models[0].target.model.empty());
  REQUIRE(list({"cam-a-0", "cam-a-2"}, false));
  CHECK(decide(3).models[0].joins);
  CHECK(decide(2).models[0].target.model.empty());
  auto const facts = *registry::load_device_facts(store->reader(), 2);
  REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->dispatched(tx, facts, decide(2), clock.wall()); }));
  CHECK(state_of(id, 2) == "left");
  CHECK(reaches(id, State::completed));
  CHECK(running(3) == "1");
  CHECK(running(4) == "");
}

TEST_CASE_FIXTURE(Grouped, "a group's rollout meets others by its words, and its group is not deleted under it") {
  REQUIRE(list({"cam-a-0"}, true));
  REQUIRE(registry::put_group(*store, {"rest", "group!=few", {}}, {.must_be_new = true}, deed()));
  auto const id = make("1", kAtOnce, true, "group=few")->id;
  CHECK(make("1", kAtOnce, true, "group=rest").error().code == "rollout_overlaps");
  CHECK(make("1", kAtOnce, true, "group!=few"));
  CHECK(make("1", kAtOnce, true, "group=gone").error().code == "unknown_group");
  auto const remove = [&] {
    return store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> { return registry::delete_group(tx, *registry::load_group(tx.connection(), "few"), deed()); });
  };
  CHECK(remove().error().detail.find("rollout " + id) != std::string::npos);
}
