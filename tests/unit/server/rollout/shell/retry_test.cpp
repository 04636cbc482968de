#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

/// Twenty devices run release 1; cam-a-0 to cam-a-2 fail what comes, until it is mended.
struct Retrying : RolloutFixture {
  bool mended = false;
  Behaviour fault = Behaviour::fails_probation;

  Retrying() {
    for (auto const version : {"1", "2"}) add_release(version, {"cam-a"});
    add_devices(20, "cam-a");
    REQUIRE(reaches(make("1", kPlainPolicy)->id, State::completed));
    behaviour = [this](std::string const& device, auto const&) { return !mended && (device == "cam-a-0" || device == "cam-a-1" || device == "cam-a-2") ? fault : Behaviour::works; };
  }
  std::string column(std::string const& name, std::int64_t n) {
    return text({"test.column", "SELECT coalesce(d." + name + ", '-') FROM rollout_devices d JOIN rollouts r ON r.n = d.rollout WHERE r.version = '2' AND d.device = ?"}, n);
  }
  /// It is told, and does nothing about it yet.
  Desired tell(std::int64_t n) {
    hear(n);
    auto const decision = decide(n);
    REQUIRE(decision.models[0].joins);
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->dispatched(tx, *registry::load_device_facts(store->reader(), n), decision, clock.wall()); }));
    return decision.models[0];
  }
  std::string shown(std::string const& id) { return *rollout_json(store->reader(), get(id)); }
  bool shows(std::string const& id, std::string const& part) { return shown(id).find(part) != std::string::npos; }
  Facts facts(std::string const& id) {
    Facts out;
    auto rows = store->reader().prepare({"test.counts", "SELECT c.stratum, c.in_window, c.state, c.outcome, c.exposed, c.devices FROM rollout_counts c JOIN rollouts r ON r.n = c.rollout "
                                                        "WHERE r.id = ? AND c.devices > 0"});
    rows.bind_all(id);
    while (*rows.step()) {
      std::string const state = rows.text(2), outcome = rows.text(3);
      fleet::rollout::count(out, {.stratum = rows.text(0), .window = static_cast<int>(rows.int64(1)), .state = state, .outcome = outcome, .exposed = rows.int64(4) != 0}, rows.int64(5),
                            get(id).progress.window);
    }
    return out;
  }
};

std::string const kTwice = R"({"stages":[{"percent":100}],"retry":{"attempts":3,"backoff":"10s","backoff_max":"15s"}})";

}  // namespace

TEST_CASE("pauses between attempts double up to their longest; after the last attempt there is none") {
  RetryRule const rule{5, std::chrono::hours{1}, std::chrono::hours{3}};
  CHECK(rule.pause_after(1) == std::chrono::hours{1});
  CHECK(rule.pause_after(2) == std::chrono::hours{2});
  CHECK(rule.pause_after(3) == std::chrono::hours{3});
  CHECK(rule.pause_after(4) == std::chrono::hours{3});
  CHECK_FALSE(rule.pause_after(5).has_value());
}

TEST_CASE("without gates a device that failed tries again after its pause, and the stage passes when all run it; what failed is counted once") {
  Retrying f;
  auto const id = f.make("2", kTwice)->id;
  f.steps(3);
  CHECK(f.count(id, "failed") == 3);
  CHECK(f.decide(1).models[0].because[0].code == "tries_again");
  CHECK(f.decide(1).valid_until <= f.clock.wall() + seconds(10));
  CHECK(f.get(id).state == State::running);
  f.mended = true;
  f.steps(14);
  CHECK(f.running_count("2") == 20);
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.column("attempt", 1) == "2");
  CHECK(f.column("state", 1) == "healthy");
  CHECK(f.column("outcome", 1) == "failed");
  CHECK_MESSAGE(f.shows(id, R"("dispatched":20,"controls":0,"exposed":20,"healthy":17,"failed":3,"recovered":3)"), f.shown(id));
}

TEST_CASE("a device that failed at all attempts stays failed") {
  Retrying f;
  auto const id = f.make("2", kTwice)->id;
  f.steps(80);
  CHECK(f.column("attempt", 1) == "3");
  CHECK(f.column("again_s", 1) == "-");
  CHECK(f.decide(1).models[0].because[0].code == "failed");
  CHECK(f.count(id, "failed") == 3);
  CHECK(f.get(id).state == State::running);
}

TEST_CASE("with gates a device tries again once its stage has passed: neither its window's table nor the sums move") {
  Retrying f;
  auto const id = f.make("2", R"({"stages":[{"percent":50},{"percent":100}],"gates":{"absolute":[{"metric":"agent.install_failure","devices_max":"60%"}]},
                              "retry":{"backoff":"5s"}})")->id;
  for (int i = 0; i < 60 && f.get(id).stage == 1; ++i) {
    f.step();
    if (f.get(id).stage == 1) CHECK(f.count(id, "dispatched") == 0);
  }
  REQUIRE(f.reaches(id, State::completed));
  auto const folded = f.get(id).progress.folded;
  CHECK(folded.failed.bad == 3);
  CHECK(f.facts(id).failed == 3);
  f.mended = true;
  f.steps(10);
  CHECK(f.running_count("2") == 20);
  CHECK(f.facts(id).failed == 3);
  CHECK(f.facts(id).recovered == 3);
  CHECK(f.get(id).progress.folded == folded);
}

TEST_CASE("a golden test that failed, and what the owner refused, are not tried again by themselves") {
  Retrying f;
  f.fault = Behaviour::fails_golden;
  f.make("2", kTwice);
  f.steps(30);
  CHECK(f.column("attempt", 1) == "1");
  CHECK(f.column("again_s", 1) == "-");
}

TEST_CASE("who tries again keeps within the limits: one at work at one time, and never two of a site") {
  for (std::string const limits : {R"("limits":{"in_flight":1})", R"("limits":{"per":"hardware"})"}) {
    CAPTURE(limits);
    Retrying f;
    auto const id = f.make("2", R"({"stages":[{"percent":100}],"retry":{"backoff":"1s"},)" + limits + "}")->id;
    for (int i = 0; i < 60 && f.count(id, "failed") + f.count(id, "healthy") < 20; ++i) f.step();
    REQUIRE(f.count(id, "failed") == 3);
    f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
    f.steps(5);
    CHECK(f.count(id, "testing") == 1);
    CHECK(f.count(id, "failed") == 2);
  }
}

TEST_CASE("a person's word lets one device try again at once, within the stage; a staged retry begins anew for all, whatever each has tried") {
  Retrying f;
  auto const id = f.make("2", R"({"stages":[{"percent":100}]})")->id;
  f.steps(3);
  CHECK(f.count(id, "failed") == 3);
  REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, "cam-a-0", f.deed()); }));
  CHECK(f.column("state", 1) == "failed");  // until it is told
  f.step();
  CHECK(f.column("attempt", 1) == "2");
  CHECK(f.column("state", 1) == "failed");  // again
  CHECK(f.column("attempt", 2) == "1");
  auto const all = f.act([&](store::Tx& tx) { return retry(tx, id, "", f.deed()); });
  CHECK(all->attempt == 3);  // above what any of them has tried
  f.mended = true;
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.running_count("2") == 20);
  CHECK(f.shows(id, R"("healthy":20,"failed":0,"recovered":0)"));
}

TEST_CASE("a rollout is taken back while a device tries again: it has not returned from what it switches to after that, and is told to") {
  for (bool const staged : {false, true}) {
    CAPTURE(staged);
    Retrying f;
    auto const id = f.make("2", R"({"stages":[{"percent":100}]})")->id;
    f.steps(2);
    REQUIRE(f.column("state", 1) == "failed");
    REQUIRE(f.column("exposed", 1) == "1");
    REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, staged ? "" : "cam-a-0", f.deed()); }));
    f.look();
    f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
    f.poll(1);
    REQUIRE(f.column("state", 1) == "testing");
    auto const told = f.decide(1).models[0];
    REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, id, f.deed()); }));
    f.look();
    CHECK(f.column("state", 1) == "dropped");
    f.report(1, told, "probation", "2");  // it was switching
    f.report(1, told, "committed", "2");
    CHECK(f.decide(1).models[0].target.action == wire::Action::revert);
    CHECK(f.decide(1).models[0].version == "1");
  }
}

TEST_CASE("a device that tries again and leaves meanwhile is told the same attempt when it comes back, and what it failed first stands") {
  Retrying f;
  f.sql({"test.label", "UPDATE devices SET labels = '{\"site\":\"a\"}'"});
  auto const id = f.make("2", R"({"stages":[{"percent":100}]})", true, "site=a")->id;
  f.steps(2);
  REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, "cam-a-0", f.deed()); }));
  f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  f.poll(1);
  REQUIRE(f.column("attempt", 1) == "2");
  f.sql({"test.away", "UPDATE devices SET labels = '{}' WHERE n = 1"});
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->left(tx, 1, Leaving::relabelled, f.clock.wall()); }));
  REQUIRE(f.column("state", 1) == "left");
  f.sql({"test.back", "UPDATE devices SET labels = '{\"site\":\"a\"}' WHERE n = 1"});
  f.poll(1);
  CHECK(f.column("state", 1) == "testing");
  CHECK(f.column("attempt", 1) == "2");
  CHECK(f.column("tries", 1) == "2");
  CHECK(f.column("outcome", 1) == "failed");
  CHECK(f.facts(id).failed == 3);
}

TEST_CASE("a failure of the network that was got over hides no device that failed the release") {
  Retrying f;
  f.behaviour = [](std::string const& device, auto const&) { return device == "cam-a-1" ? Behaviour::fails_probation : Behaviour::works; };
  f.offline = {1};
  auto const id = f.make("2", R"({"stages":[{"percent":100}],"retry":{"attempts":2,"backoff":"5s"}})")->id;
  f.report(1, f.tell(1), "failed", "1", "network");
  f.offline.clear();
  f.steps(30);
  CHECK(f.column("state", 1) == "healthy");
  CHECK(f.column("outcome", 1) == "failed");
  CHECK(f.column("state", 2) == "failed");
  CHECK(f.get(id).state == State::running);
}

TEST_CASE("who was told and never began holds no limit of a rollout that has completed, and is not written anew at each look; it is left out once that goes on") {
  for (bool const by_policy : {true, false}) {
    CAPTURE(by_policy);
    Retrying f;
    f.behaviour = [](std::string const& device, auto const&) { return device == "cam-a-0" ? Behaviour::fails_probation : Behaviour::works; };
    f.offline = {19, 20};
    std::string const again = by_policy ? R"(,"retry":{"attempts":5,"backoff":"1s"})" : "";
    auto const id = f.make("2", R"({"stages":[{"percent":100}],"limits":{"in_flight":2},"device":{"waiting_max":"4h"})" + again + "}")->id;
    for (int n = 1; n <= 18; ++n) f.poll(n);
    for (int const n : {19, 20}) f.tell(n);
    auto const wait = [&](int minutes) {
      for (int i = 0; i < minutes; ++i) {
        f.clock.advance(std::chrono::minutes(1));
        for (int n = 1; n <= 18; ++n) f.hear(n);
        f.look();
      }
    };
    wait(60);
    REQUIRE(f.column("state", 19) == "waiting");
    REQUIRE(f.act([&](store::Tx& tx) { return promote(tx, id, {.stage = 1}, f.deed()); }));
    REQUIRE(f.get(id).state == State::completed);
    if (!by_policy) REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, "cam-a-0", f.deed()); }));
    wait(10);
    CHECK(f.decide(1).models[0].joins);
    auto const looks_at = f.column("silent_at", 19);
    wait(20);
    CHECK(f.column("silent_at", 19) == looks_at);
    CHECK(f.column("state", 19) == "waiting");
    REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, "", f.deed()); }));
    wait(180);
    CHECK(f.column("state", 19) == "dropped");
  }
}
