#include "server/rollout/shell/replan.hpp"

#include "server/registry/groups.hpp"
#include "server/rollout/policy/presets.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

struct Growing : RolloutFixture {
  Growing() {
    for (auto const version : {"1", "2"}) add_release(version, {"cam-a", "cam-b"});
    add_devices(20, "cam-a");
    REQUIRE(reaches(make("1", kPlainPolicy)->id, State::completed));
  }
  void begin(std::string const& id) { REQUIRE(act([&](store::Tx& tx) { return start(tx, id, deed()); })); }
  std::int64_t reach(std::string const& id) { return load_ladder(store->reader(), get(id))->reach(); }
};

}  // namespace

TEST_CASE("a draft that starts after the fleet changed is planned anew before anybody is told; one of an unchanged fleet begins at once") {
  Growing f;
  auto const same = f.make("2", R"({"stages":[{"percent":10},{"percent":100}]})", false)->id;
  f.begin(same);
  CHECK_FALSE(f.get(same).waits_to_begin());
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, same, f.deed()); }));

  auto const id = f.make("2", R"({"stages":[{"percent":10},{"percent":100}]})", false)->id;
  CHECK(f.reach(id) == 20);
  f.add_devices(80, "cam-b");
  f.begin(id);
  CHECK(f.get(id).waits_to_begin());
  CHECK_FALSE(f.decide(1).models[0].joins);
  f.look();
  CHECK(f.reach(id) == 100);
  f.look();
  CHECK_FALSE(f.get(id).waits_to_begin());
  for (int n = 1; n <= f.devices; ++n) f.poll(n);
  CHECK(f.count(id, "") == 10);  // a tenth of either class
  CHECK(explain_json(f.store->reader(), f.get(id))->find("planned anew over the fleet of now: 100 devices, 20 before") != std::string::npos);
  f.add_devices(1, "cam-c");
  f.steps(3);
  CHECK(f.reach(id) == 100);  // once it runs, sizes stand
}

TEST_CASE("a draft over a group is planned anew where the group has moved, and where what its words ask for has") {
  Growing f;
  auto const put = [&](registry::GroupSpec const& spec, bool fresh) { REQUIRE(registry::put_group(*f.store, spec, {.must_be_new = fresh}, f.deed())); };
  put({"few", {}, {"cam-a-0", "cam-a-1"}}, true);
  auto const id = f.make("2", R"({"stages":[{"percent":10},{"percent":100}]})", false, "group=few")->id;
  CHECK(f.reach(id) == 2);
  put({"few", {}, {"cam-a-0", "cam-a-1", "cam-a-2", "cam-a-3", "cam-a-4"}}, false);
  f.begin(id);
  CHECK(f.get(id).waits_to_begin());
  f.look();
  CHECK(f.reach(id) == 5);
  f.look();
  CHECK_FALSE(f.get(id).waits_to_begin());
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, id, f.deed()); }));

  put({"ones", "running=reader@1", {}}, true);
  auto const words = f.make("2", R"({"stages":[{"percent":10},{"percent":100}]})", false, "group=ones")->id;
  f.clock.advance(seconds(1));
  f.begin(words);
  CHECK(f.get(words).waits_to_begin());  // what devices run changes without a word to the counter
}

TEST_CASE("a plan anew says that it wrote nothing where a verb was faster: the ladder is the old one still") {
  Growing f;
  auto const id = f.make("2", R"({"stages":[{"percent":10},{"percent":100}]})", false)->id;
  f.add_devices(80, "cam-b");
  f.begin(id);
  auto const read = f.get(id);
  REQUIRE(f.act([&](store::Tx& tx) { return pause(tx, id, f.deed()); }));
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, id, f.deed()); }));
  auto const late = replan(*f.store, read, f.clock.wall());
  REQUIRE(late);
  CHECK_FALSE(*late);
  CHECK(f.reach(id) == 20);
  CHECK(*plan_is_old(f.store->reader(), f.get(id), f.clock.wall()));
  auto const now = replan(*f.store, f.get(id), f.clock.wall());
  REQUIRE(now);
  CHECK(*now);
  CHECK(f.reach(id) == 100);
}

TEST_CASE("who resumes a rollout past a predecessor that was aborted has it planned over the fleet of then") {
  Growing f;
  auto const first = f.make("2", R"({"stages":[{"percent":100,"bake":"1h"}]})")->id;
  auto const id = f.make("1", R"({"stages":[{"percent":10},{"percent":100}]})", true, "", first)->id;
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, first, f.deed()); }));
  REQUIRE(f.reaches(id, State::paused));
  f.add_devices(80, "cam-b");
  CHECK(f.reach(id) == 20);
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, id, f.deed()); }));
  CHECK(f.get(id).waits_to_begin());
  CHECK_FALSE(f.decide(1).models[0].joins);
  f.look();
  CHECK(f.reach(id) == 100);
  f.look();
  CHECK_FALSE(f.get(id).waits_to_begin());
  CHECK(f.get(id).state == State::running);
  CHECK(f.get(id).progress.waived);
  REQUIRE(f.reaches(id, State::completed));
}

TEST_CASE("a preset is what it is for the fleet that it starts over, and says so") {
  Growing f;
  auto const id = f.make("2", R"("standard")", false)->id;
  auto const before = f.get(id).policy_json;
  f.add_devices(1'000, "cam-b");
  f.begin(id);
  f.look();
  auto const after = f.get(id);
  CHECK(after.policy_json != before);
  CHECK(after.policy == preset_for("standard", {1'020, 2, *outcome_time(f.store->reader(), Policy{}, Millis{0}), true}));
  CHECK(explain_json(f.store->reader(), after)->find("what preset standard is has changed with it") != std::string::npos);
  f.look();
  CHECK_FALSE(f.get(id).waits_to_begin());
}

TEST_CASE("a rollout that selects nobody waits, and is planned over who comes before the first is told: they have canaries as all have") {
  for (bool const approved : {false, true}) {
    CAPTURE(approved);
    Growing f;
    std::string const asked = approved ? R"(,"approvals":{"required":1})" : "";
    auto const id = f.make("2", R"({"stages":[{"devices":1,"bake":"1h"},{"percent":100}])" + asked + "}", true, "team=x")->id;
    if (approved) {
      auto by = f.deed();
      by.actor = "token:somebody";
      REQUIRE(f.act([&](store::Tx& tx) { return approve(tx, id, by); }));
    }
    f.steps(3);
    CHECK(f.get(id).waits_to_begin());
    CHECK(explain_json(f.store->reader(), f.get(id))->find("waits for a device: none is selected yet") != std::string::npos);
    CHECK_FALSE(f.act([&](store::Tx& tx) { return promote(tx, id, {.stage = 1, .full = false}, f.deed()); }));
    auto const at = f.get(id).revision;
    f.sql({"test.other", "UPDATE devices SET labels = '{\"team\":\"y\"}' WHERE n = 20"});
    f.steps(3);
    CHECK(f.get(id).revision == at);  // the fleet changed, and still nobody is selected
    f.sql({"test.label", "UPDATE devices SET labels = '{\"team\":\"x\"}' WHERE n <= 8"});
    for (int n = 1; n <= 8; ++n) f.poll(n);  // before the judge has seen them
    CHECK(f.count(id, "") == 0);
    f.steps(6);
    CHECK(f.reach(id) == 8);
    CHECK(f.get(id).stage == 1);
    CHECK(f.count(id, "") == 1);
  }
}

TEST_CASE("what people approved is not planned anew") {
  Growing f;
  auto const id = f.make("2", R"({"stages":[{"percent":10},{"percent":100}],"approvals":{"required":1}})", false)->id;
  f.begin(id);
  f.add_devices(80, "cam-b");
  auto by = f.deed();
  by.actor = "token:somebody";
  REQUIRE(f.act([&](store::Tx& tx) { return approve(tx, id, by); }));
  f.steps(1);
  CHECK_FALSE(f.get(id).waits_to_begin());
  CHECK(f.reach(id) == 20);
}

TEST_CASE("labels, states, hardware and groups change the fleet; polls do not") {
  Growing f;
  auto const changes = [&] { return *count_fleet_changes(f.store->reader()); };
  auto const at = changes();
  f.steps(2);
  f.sql({"test.epoch", "UPDATE devices SET epoch = epoch + 1, labels = labels"});
  CHECK(changes() == at);
  f.sql({"test.label", "UPDATE devices SET labels = '{\"site\":\"a\"}' WHERE n = 1"});
  CHECK(changes() == at + 1);
  f.sql({"test.retire", "UPDATE devices SET state = 'retired' WHERE n = 2"});
  CHECK(changes() == at + 2);
  auto const put = [&](std::vector<std::string> ids, bool fresh) { REQUIRE(registry::put_group(*f.store, {"few", {}, std::move(ids)}, {.must_be_new = fresh}, f.deed())); };
  put({"cam-a-0"}, true);
  put({"cam-a-0"}, false);
  CHECK(changes() == at + 2);  // the same list once more
  put({"cam-a-1"}, false);
  CHECK(changes() == at + 3);
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> { return registry::delete_group(tx, *registry::load_group(tx.connection(), "few"), f.deed()); }));
  CHECK(changes() == at + 4);
}
