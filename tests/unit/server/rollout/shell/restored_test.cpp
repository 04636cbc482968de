#include "server/rollout/shell/restored.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

struct RestoredFleet : RolloutFixture {
  std::string first;
  RestoredFleet() {
    for (auto const* version : {"1", "2"}) add_release(version, {"cam-a"});
    add_devices(3, "cam-a");
    first = make("1", R"({"stages":[{"percent":100}]})")->id;
    REQUIRE(reaches(first, State::completed));
  }
  void restore() {
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return hold_restored(tx, clock.wall()); }));
  }
  /// What the device did that this server never heard of.
  void ran_meanwhile(std::int64_t n, std::string const& version, std::optional<Digest> digest) {
    sql({"test.ran", "UPDATE device_models SET running = ?, running_digest = ? WHERE device = ?"}, version, digest, n);
  }
  /// A poll as delivery records it.
  void tell(std::int64_t n, wire::ModelStatus const& status, std::string const& before = "1") {
    hear(n);
    ModelStatuses const old{{"reader", {digest(before).hex(), before, "committed", first, 1, ""}}}, now{{"reader", status}};
    ran_meanwhile(n, status.version, digest(status.version));
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->on_poll(tx, n, old, now, clock.wall()); }));
  }
  Desired wanted(std::int64_t n) { return decide(n).models.at(0); }
};

}  // namespace

TEST_CASE("a restored server sends no device back from what it runs; a person who resumes the rollout does") {
  RestoredFleet f;
  f.restore();
  CHECK(f.get(f.first).restored == Restored::held);
  f.ran_meanwhile(1, "9", crypto::sha256("lost"));   // a release that nobody here knows
  f.ran_meanwhile(2, "2", f.digest("2"));            // a newer one
  f.ran_meanwhile(3, "2", crypto::sha256("other"));  // the name of a newer one, other bytes
  for (std::int64_t n : {1, 2, 3}) {
    CAPTURE(n);
    CHECK(f.wanted(n).target.model.empty());
    CHECK_FALSE(f.wanted(n).joins);
    CHECK(f.wanted(n).because.back().code == "restored");
  }
  f.sql({"test.none", "DELETE FROM device_models WHERE device = 3"});
  CHECK(f.wanted(3).version == "1");  // who runs nothing is given what there is
  auto const differs = *restored_json(f.store->reader());
  for (auto const* part : {R"("version":"9")", R"("example":"cam-a-0")", R"("state":"completed")"}) CHECK_MESSAGE(differs.find(part) != std::string::npos, differs);
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, f.first, f.deed()); }));
  CHECK(f.get(f.first).state == State::completed);
  CHECK(f.wanted(1).version == "1");
}

TEST_CASE("a rollout of after the restore goes on from what devices run") {
  RestoredFleet f;
  f.restore();
  f.add_release("3", {"cam-a"});
  for (std::int64_t n : {1, 2, 3}) f.ran_meanwhile(n, "2", f.digest("2"));
  auto const next = f.make("3", R"({"stages":[{"percent":100}]})");
  REQUIRE_MESSAGE(next.has_value(), next.error().detail);
  REQUIRE(f.reaches(next->id, State::completed));
  CHECK(f.running_count("3") == 3);
}

TEST_CASE("a rollout that a backup caught in its middle is paused, catches up from polls, and completes when it is resumed") {
  RestoredFleet f;
  auto const id = f.make("2", R"({"stages":[{"devices":1},{"percent":100}]})")->id;
  std::int64_t canary = 0;
  for (std::int64_t n : {1, 2, 3})
    if (f.wanted(n).joins) canary = n;
  REQUIRE(canary != 0);
  auto const facts = *registry::load_device_facts(f.store->reader(), canary);
  auto const decision = f.decide(canary);
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->dispatched(tx, facts, decision, f.clock.wall()); }));
  f.report(canary, decision.models[0], "probation", "2");
  f.restore();
  CHECK(f.get(id).state == State::paused);
  CHECK(f.get(id).reason == "restored");
  for (std::int64_t n : {1, 2, 3}) f.tell(n, {f.digest("2").hex(), "2", "committed", id, 1, ""});
  CHECK(f.count(id, "healthy") == 3);
  for (std::int64_t n : {1, 2, 3}) CHECK(f.wanted(n).version == "2");
  CHECK(f.text({"test.from", "SELECT min(from_version) FROM rollout_devices WHERE rollout = (SELECT n FROM rollouts WHERE id = ?)"}, id) == "1");
  f.steps(2);
  CHECK(f.get(id).state == State::paused);
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, id, f.deed()); }));
  CHECK(f.reaches(id, State::completed));
}

TEST_CASE("after a restore neither the judge nor a rollback of the past takes anything back") {
  RestoredFleet f;
  f.behaviour = [](auto const&, auto const&) { return Behaviour::inaccurate; };
  auto const id = f.make("2", R"({"stages":[{"percent":100,"bake":"1h"}],"gates":{"absolute":[{"metric":"accuracy","min":0.9,"samples":50,"devices_max":"2%"}]}})")->id;
  for (int n = 1; n <= 3; ++n) f.poll(n);
  f.restore();
  f.steps(3);
  CHECK(f.get(id).state == State::paused);
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, id, f.deed()); }));  // a person's word of now
  CHECK(f.wanted(1).target.action == wire::Action::revert);
  f.restore();
  CHECK(f.get(id).state == State::rolling_back);
  CHECK(f.wanted(1).target.model.empty());
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, id, f.deed()); }));
  CHECK(f.wanted(1).target.action == wire::Action::revert);
}

TEST_CASE("a device that failed after the backup is failed by its poll, which is no evidence; a report that still comes tells of what") {
  RestoredFleet f;
  auto const id = f.make("2", R"({"stages":[{"percent":100}]})")->id;
  f.restore();
  f.tell(1, {f.digest("1").hex(), "1", "failed", id, 1, ""});
  CHECK(f.state_of(id, 1) == "failed");
  CHECK(f.text({"test.kind", "SELECT kind FROM rollout_devices WHERE device = 1 AND state = 'failed'"}) == row_kind::kNoEvidence);
  wire::UpdateItem item;
  item.model = "reader";
  item.version = "2";
  item.rollout = id;
  item.attempt = 1;
  item.state = "failed";
  item.running_version = "1";
  item.error = {"golden_mismatch", "", ""};
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->on_update(tx, *registry::load_device_facts(tx.connection(), 1), item, f.clock.wall()); }));
  CHECK(f.text({"test.error", "SELECT error FROM rollout_devices WHERE device = 1 AND state = 'failed'"}).find("golden_mismatch") != std::string::npos);
}
