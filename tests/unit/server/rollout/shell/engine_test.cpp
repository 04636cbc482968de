#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include "server/rollout/shell/judge_loop.hpp"
#include "server/rollout/shell/queries.hpp"

#include <semaphore>

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

struct Forty : RolloutFixture {
  Forty() {
    for (auto const version : {"1", "2", "3"}) add_release(version, {"cam-a", "cam-b"});
    add_devices(20, "cam-a");
    add_devices(20, "cam-b");
    auto const first = make("1", kPlainPolicy);
    REQUIRE_MESSAGE(first, first.error().detail);
    REQUIRE(reaches(first->id, State::completed));
    REQUIRE(running_count("1") == 40);
  }
};

}  // namespace

TEST_CASE("every query prepares on the newest schema") {
  fleet::test::StoreFixture fixture;
  for (auto const& query : queries::kAll) CHECK_NOTHROW((void)fixture.store->reader().prepare(query));
}

TEST_CASE("a good release goes through 4, 20 and all devices on evidence, and three that are offline neither block nor pass") {
  Forty f;
  auto const rollout = *f.make("2", kDemoPolicy);
  for (int n = 1; n <= 40 && f.offline.size() < 3; n += 7)
    if (f.decide(n).models[0].arm == Arm::control) f.offline.insert(n);
  auto const late = *f.offline.begin();
  f.steps(1);
  CHECK(f.get(rollout.id).stage == 1);
  CHECK(f.count(rollout.id, "") <= 4);
  REQUIRE(f.reaches(rollout.id, State::completed));
  CHECK(f.running_count("2") == 37);
  f.offline.clear();
  f.steps(1);
  CHECK(f.running_count("2") == 40);
  CHECK(f.state_of(rollout.id, late) == "healthy");
}

TEST_CASE("a release that fails in the field is caught in the canary; each exposed device returns to its own version, nobody else ever ran it") {
  for (auto const bad : {Behaviour::inaccurate, Behaviour::fails_golden, Behaviour::fails_probation}) {
    CAPTURE(static_cast<int>(bad));
    Forty f;
    auto const good = *f.make("2", kDemoPolicy);
    REQUIRE(f.reaches(good.id, State::completed));
    f.behaviour = [&](auto const&, std::string const& version) { return version == "3" ? bad : Behaviour::works; };
    auto const rollout = *f.make("3", kDemoPolicy);
    REQUIRE(f.reaches(rollout.id, State::rolled_back));
    CHECK(f.running_count("3") == 0);
    CHECK(f.running_count("2") == 40);
    CHECK(f.count(rollout.id, "") == 4);
    CHECK(f.count(rollout.id, "reverted") == (bad == Behaviour::fails_golden ? 0 : 4));
    f.steps(3);
    CHECK(f.running_count("2") == 40);
  }
}

TEST_CASE("canaries that fall silent roll back what can be reached; the rest is told when it returns") {
  Forty f;
  f.behaviour = [](auto const&, std::string const& version) { return version == "3" ? Behaviour::falls_silent : Behaviour::works; };
  f.pace = std::chrono::minutes(1);  // three times the quarter of an hour in which a fleet comes back to a server that has just begun
  auto const rollout = *f.make("3", kDemoPolicy);
  REQUIRE(f.reaches(rollout.id, State::rolled_back));
  CHECK(f.count(rollout.id, "dropped") == 4);
  f.behaviour = [](auto const&, auto const&) { return Behaviour::works; };
  f.offline.clear();
  f.steps(2);
  CHECK(f.running_count("1") == 40);
}

TEST_CASE("a device that switched and went away returns weeks after the rollback, and its late story is told right") {
  Forty f;
  auto const rollout = *f.make("3", kPlainPolicy);
  std::int64_t canary = 0;
  for (int n = 1; n <= 40 && canary == 0; ++n)
    if (f.decide(n).models[0].target.rollout == rollout.id) canary = n;
  REQUIRE(canary != 0);
  auto const facts = *registry::load_device_facts(f.store->reader(), canary);
  auto const decision = f.decide(canary);
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->dispatched(tx, facts, decision, f.clock.wall()); }));
  f.offline.insert(canary);
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, rollout.id, f.deed()); }));
  REQUIRE(f.reaches(rollout.id, State::rolled_back));
  f.clock.advance(std::chrono::hours(24 * 21));
  f.report(canary, decision.models[0], "probation", "3");
  f.report(canary, decision.models[0], "committed", "3");
  CHECK(f.state_of(rollout.id, canary) == "healthy");
  CHECK(f.decide(canary).models[0].target.action == wire::Action::revert);
  CHECK(f.decide(canary).models[0].version == "1");
  f.offline.clear();
  f.steps(2);
  CHECK(f.running(canary) == "1");
  CHECK(f.state_of(rollout.id, canary) == "reverted");
}

TEST_CASE("rolling back after completion takes every device back; without a version before, the release is removed") {
  Forty f;
  f.add_devices(1, "cam-c");
  f.add_release("4", {"cam-a", "cam-b", "cam-c"});
  auto const rollout = *f.make("4", kPlainPolicy);
  REQUIRE(f.reaches(rollout.id, State::completed));
  CHECK(f.running_count("4") == 41);
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, rollout.id, f.deed()); }));
  CHECK(f.decide(41).models[0].target.action == wire::Action::remove);
  REQUIRE(f.reaches(rollout.id, State::rolled_back));
  CHECK(f.running_count("1") == 40);
  CHECK(f.running(41).empty());
}

TEST_CASE("rolling back past a revoked release goes to what still stands") {
  Forty f;
  auto const goes = [&](std::string const& version) {
    f.add_release(version, {"cam-a", "cam-b"});
    auto const rollout = *f.make(version, kPlainPolicy);
    REQUIRE(f.reaches(rollout.id, State::completed));
    return rollout;
  };
  auto const old = goes("4"), bad = goes("5"), newest = goes("6");
  f.sql({"test.revoke", "UPDATE releases SET state = 'revoked' WHERE version = '5'"});
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, newest.id, f.deed()); }));
  auto const desired = f.decide(1).models[0];
  CHECK(desired.version == "4");
  CHECK(desired.target.action == wire::Action::install);
  CHECK(desired.because[0].code == "revoked");
  CHECK(desired.revoked == std::vector{bad.digest.hex()});  // the device hears of it, for its own ways back
  REQUIRE(f.reaches(newest.id, State::rolled_back));
  CHECK(f.running_count("4") == 40);

  f.sql({"test.revoke", "UPDATE releases SET state = 'revoked' WHERE version = '4'"});
  auto const last = goes("7");
  f.sql({"test.revoke", "UPDATE releases SET state = 'revoked' WHERE version = '1'"});
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, last.id, f.deed()); }));
  CHECK(f.decide(1).models[0].target.action == wire::Action::remove);  // nothing stands
  CHECK(f.decide(1).models[0].version.empty());
}

TEST_CASE("pause: nobody new joins, who was told goes on; abort: who switched keeps it, the others drop it") {
  Forty f;
  auto const rollout = *f.make("2", R"({"stages":[{"percent":50,"min_devices":40},{"percent":100}]})");
  f.offline = {1, 2, 3, 4, 5, 6, 7, 8};
  f.steps(1);
  auto const told = f.count(rollout.id, "");
  CHECK(told > 0);
  REQUIRE(f.act([&](store::Tx& tx) { return pause(tx, rollout.id, f.deed()); }));
  f.offline.clear();
  f.steps(2);
  CHECK(f.count(rollout.id, "") == told);
  CHECK(f.get(rollout.id).state == State::paused);
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, rollout.id, f.deed()); }));
  f.steps(1);
  CHECK(f.count(rollout.id, "") == 20);
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, rollout.id, f.deed()); }));
  f.steps(2);
  CHECK(f.running_count("2") == 20);
  CHECK(f.running_count("1") == 20);
}

TEST_CASE("a retry goes through the stages again; a single device is retried at once") {
  Forty f;
  f.behaviour = [](auto const&, std::string const& version) { return version == "2" ? Behaviour::fails_probation : Behaviour::works; };
  auto const rollout = *f.make("2", R"({"stages":[{"percent":10},{"percent":100}]})");
  f.steps(4);
  CHECK(f.count(rollout.id, "failed") == 4);
  CHECK(f.get(rollout.id).stage == 1);
  REQUIRE(f.act([&](store::Tx& tx) { return promote(tx, rollout.id, {.stage = 1}, f.deed()); }));
  f.steps(3);
  CHECK(f.count(rollout.id, "failed") == 40);
  f.behaviour = [](auto const&, auto const&) { return Behaviour::works; };
  f.steps(2);
  CHECK(f.running_count("1") == 40);  // final for (digest, rollout, attempt)
  REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, rollout.id, "cam-a-7", f.deed()); }));
  f.steps(1);
  CHECK(f.running_count("2") == 1);
  REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, rollout.id, "", f.deed()); }));
  CHECK(f.get(rollout.id).stage == 1);
  f.step();
  CHECK(f.running_count("2") <= 5);
  REQUIRE(f.reaches(rollout.id, State::completed));
  CHECK(f.running_count("2") == 40);
}

TEST_CASE("devices that join or change labels are right at their next poll") {
  Forty f;
  auto const rollout = *f.make("2", kPlainPolicy, true, "site=north");
  f.steps(3);
  CHECK(f.count(rollout.id, "") == 0);
  f.sql({"test.label", "UPDATE devices SET labels = '{\"site\":\"north\"}' WHERE n <= 10"});
  f.steps(2);  // planned over them
  REQUIRE(f.act([&](store::Tx& tx) { return promote(tx, rollout.id, {.stage = 1}, f.deed()); }));
  f.steps(2);
  CHECK(f.running_count("2") == 10);
  f.add_devices(3, "cam-b-late");
  f.sql({"test.hardware", "UPDATE devices SET hardware = 'cam-b' WHERE n > 40"});
  f.steps(1);
  CHECK(f.running_count("1") == 33);
}

TEST_CASE("a selector on what runs does not lose the devices that switched") {
  Forty f;
  auto const rollout = *f.make("2", kPlainPolicy, true, "running=reader@1");
  REQUIRE(f.reaches(rollout.id, State::completed));
  f.steps(3);
  CHECK(f.running_count("2") == 40);
}

TEST_CASE("a failure before the golden test is no evidence against the release; hardware without a variant is not covered") {
  Forty f;
  f.add_devices(2, "cam-x");
  auto const rollout = *f.make("2", kDemoPolicy);
  std::int64_t canary = 0;
  for (int n = 1; n <= 40 && canary == 0; ++n)
    if (f.decide(n).models[0].target.rollout == rollout.id) canary = n;
  auto const facts = *registry::load_device_facts(f.store->reader(), canary);
  auto const decision = f.decide(canary);
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->dispatched(tx, facts, decision, f.clock.wall()); }));
  f.report(canary, decision.models[0], "failed", "1", "network");
  CHECK(f.state_of(rollout.id, canary) == "failed");
  CHECK(f.text({"test.kind", "SELECT kind FROM rollout_devices WHERE device = ? AND rollout = ?"}, canary, rollout.n) == row_kind::kInstall);
  auto const other = f.decide(41).models[0];
  CHECK(other.target.model.empty());
  CHECK(other.because.at(0).code == "no_variant");
}

TEST_CASE("what the API shows: counts, verdict, explain, devices") {
  Forty f;
  auto const rollout = *f.make("2", kDemoPolicy);
  REQUIRE(f.reaches(rollout.id, State::completed));
  auto const object = *rollout_json(f.store->reader(), f.get(rollout.id));
  for (auto const part : {R"("state":"completed")", R"("healthy":40)", R"("exposed":40)", R"("targeted":40)", R"("name":"accuracy")", R"("test":"harm")"})
    CHECK_MESSAGE(object.find(part) != std::string::npos, object);
  auto const explained = *explain_json(f.store->reader(), f.get(rollout.id));
  for (auto const part : {R"("decision":"widen")", R"("decision":"complete")", R"("stratum":"cam-a")", "certify: 0 of 40 devices are bad"})
    CHECK_MESSAGE(explained.find(part) != std::string::npos, explained);
  auto const page = *list_rollout_devices(f.store->reader(), f.get(rollout.id), "healthy", 1, 0, 3);
  CHECK(page.items.size() == 3);
  CHECK_FALSE(page.next.empty());
  CHECK(list_rollout_devices(f.store->reader(), f.get(rollout.id), "healthy", 1, std::stoll(page.next), 3)->items.size() == 1);
  CHECK(page.items[0].find(R"("from":"1")") != std::string::npos);
  CHECK(list_rollouts(f.store->reader(), registry::kUnlimited, "reader", "completed", INT64_MAX, 1)->items.size() == 1);
}

TEST_CASE("the judge's thread starts, looks at what is due and stops, again and again") {
  Forty f;
  auto const rollout = *f.make("2", kPlainPolicy);
  std::counting_semaphore<> looked{0};
  ServiceClock served{f.clock, Millis{0}};
  SiteQueue sites;
  JudgeLoop judge{f.services, served, sites, [&] {
                    looked.release();
                    return load_snapshot(f.store->reader(), f.store->epochs().policy(), nullptr);
                  }};
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    judge.start();
    judge.start();
    CHECK(looked.try_acquire_for(std::chrono::seconds(30)));
    judge.stop();
    judge.stop();
    while (looked.try_acquire()) {
    }
    f.clock.advance(Millis{1'000});
  }
  CHECK(f.get(rollout.id).revision > rollout.revision);
}

TEST_CASE("in_flight bounds the devices at work at one time, and the rollout goes on as they finish") {
  Forty f;
  auto const rollout = *f.make("2", R"({"stages":[{"percent":100}],"limits":{"in_flight":5}})");
  int most = 0;
  for (int n = 1; n <= 40; ++n) {
    f.hear(n);
    auto const facts = *registry::load_device_facts(f.store->reader(), n);
    auto const decision = f.decide(n);
    if (!decision.models[0].joins) {
      CHECK(decision.models[0].because[0].code == "in_flight");
      CHECK(decision.valid_until <= f.clock.wall() + seconds(5));
      continue;
    }
    REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->dispatched(tx, facts, decision, f.clock.wall()); }));
    ++most;
  }
  CHECK(most == 5);
  for (int n = 1; n <= 40; ++n)
    if (!f.decide(n).models[0].joins && f.count(rollout.id, "dispatched") > 0 && f.state_of(rollout.id, n) == "dispatched") {
      f.report(n, f.decide(n).models[0], "probation", "2");
      f.report(n, f.decide(n).models[0], "committed", "2");
    }
  CHECK(f.reaches(rollout.id, State::completed));
  CHECK(f.running_count("2") == 40);
}
