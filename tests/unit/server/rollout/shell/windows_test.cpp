#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

/// Forty devices that run release 1; a canary of four beside 36 controls.
struct Windows : RolloutFixture {
  Windows() {
    for (auto const version : {"1", "2"}) add_release(version, {"cam"});
    add_devices(40, "cam");
    auto const first = make("1", kPlainPolicy);
    REQUIRE(reaches(first->id, State::completed));
  }
  void all(Behaviour acts) {
    behaviour = [acts](auto const&, std::string const& version) { return version == "2" ? acts : Behaviour::works; };
  }
  void everybody(Behaviour acts) {
    behaviour = [acts](auto const&, auto const&) { return acts; };
  }
};

std::string const kCompared = R"({"stages":[{"devices":4},{"devices":20},{"percent":100}],"gates":{"failures":{},"silent":{}}})";

}  // namespace

TEST_CASE("controls prove what they run beside the canaries, count in their window alone, and become canaries in their turn") {
  Windows f;
  auto const id = f.make("2", kCompared)->id;
  f.steps(1);
  CHECK(f.count(id, "healthy") == 4);
  CHECK(f.count(id, "healthy", "control") == 36);
  CHECK(f.running_count("2") == 4);
  CHECK(f.get(id).progress.folded.canaries == 4);
  CHECK(f.get(id).progress.folded.controls == 36);
  auto const shown = *rollout_json(f.store->reader(), f.get(id));
  for (auto const* part : {R"("healthy":4)", R"("controls":36)", R"("exposed":4)"}) CHECK_MESSAGE(shown.find(part) != std::string::npos, shown);
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.running_count("2") == 40);
  CHECK(f.count(id, "healthy") == 40);
  CHECK(f.count(id, "", "control") == 0);
}

TEST_CASE("what fails beside controls that do not is taken back; where both fail alike it is not") {
  for (bool const both : {false, true}) {
    CAPTURE(both);
    Windows f;
    auto const id = f.make("2", R"({"stages":[{"devices":4,"bake":"1h"},{"percent":100}],"gates":{"failures":{}}})")->id;
    if (both) f.everybody(Behaviour::fails_probation);
    else f.all(Behaviour::fails_probation);
    f.steps(4);
    CHECK(f.get(id).progress.folded.storms == both);
    CHECK((f.get(id).state == State::running) == both);
  }
}

TEST_CASE("a promotion while devices are at work loses nothing of what comes of them") {
  Windows f;
  f.all(Behaviour::lingers);
  auto const id = f.make("2", kCompared)->id;
  f.steps(2);
  CHECK(f.count(id, "testing") == 4);
  REQUIRE(f.act([&](store::Tx& tx) { return promote(tx, id, {.stage = 1}, f.deed()); }));
  f.look();
  CHECK(f.get(id).progress.window == 1);
  CHECK(f.get(id).progress.stage == 2);
  f.all(Behaviour::fails_probation);
  REQUIRE(f.reaches(id, State::rolled_back));
  CHECK(f.get(id).progress.folded.canaries == 20);
  CHECK(f.running_count("1") == 40);
}

TEST_CASE("a promotion after a window was judged begins the next stage with a window of its own") {
  Windows f;
  auto const id = f.make("2", R"({"stages":[{"devices":4,"bake":"10h"},{"devices":20,"bake":"10h"},{"percent":100}],"gates":{"failures":{}}})")->id;
  f.steps(3);
  CHECK(f.get(id).baking);
  REQUIRE(f.act([&](store::Tx& tx) { return promote(tx, id, {.stage = 1}, f.deed()); }));
  f.steps(4);
  CHECK(f.get(id).progress.window == 2);
  CHECK(f.get(id).progress.folded.windows == 2);
  CHECK(f.get(id).progress.folded.canaries == 20);
  CHECK(f.get(id).baking);
}

TEST_CASE("after a retry only what comes of the new attempt counts: the failures of the one before roll nothing back") {
  Windows f;
  f.all(Behaviour::fails_probation);
  auto const id = f.make("2", R"({"stages":[{"devices":4},{"percent":100}],"gates":{"failures":{}},"on_harm":"pause"})")->id;
  REQUIRE(f.reaches(id, State::paused));
  CHECK(f.count(id, "failed") == 4);
  f.all(Behaviour::works);
  REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, "", f.deed()); }));
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, id, f.deed()); }));
  f.look();
  CHECK(f.get(id).progress.folded.windows == 0);
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.running_count("2") == 40);
  CHECK(f.get(id).progress.folded.failed.bad == 0);
}

TEST_CASE("an outage of this server's own makes nobody silent: service time stands still, and the window goes on when devices are heard again") {
  Windows f;
  f.pace = std::chrono::minutes(1);
  f.everybody(Behaviour::lingers);
  auto const id = f.make("2", kCompared)->id;
  f.steps(3);
  CHECK(f.count(id, "testing") == 4);
  for (int minute = 0; minute < 600; ++minute) {
    f.clock.advance(f.pace);
    f.look();
  }
  CHECK(f.count(id, "silent") == 0);
  CHECK(f.count(id, "silent", "control") == 0);
  f.everybody(Behaviour::works);
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.get(id).progress.folded.silent.bad == 0);
  CHECK(f.get(id).progress.folded.control_silent.bad == 0);
}

TEST_CASE("a server that starts anew after every step goes the same way") {
  Windows f;
  auto const id = f.make("2", kCompared)->id;
  for (int i = 0; i < 60 && f.get(id).state == State::running; ++i) {
    f.step();
    f.engine = *Engine::create(f.services);
  }
  CHECK(f.get(id).state == State::completed);
  CHECK(f.get(id).progress.folded.canaries == 40);
  CHECK(f.running_count("2") == 40);
}

TEST_CASE("a rollout over nobody waits for whoever comes, and is of them then") {
  Windows f;
  auto const id = f.make("2", R"({"stages":[{"percent":100}],"gates":{"failures":{}}})", true, "site=new")->id;
  f.steps(5);
  CHECK(f.get(id).state == State::running);
  f.sql({"test.label", "UPDATE devices SET labels = '{\"site\":\"new\"}' WHERE n <= 10"});
  f.steps(3);
  CHECK(f.running_count("2") == 10);
  CHECK(f.reaches(id, State::completed));
  CHECK(f.get(id).progress.folded.canaries == 10);
}

TEST_CASE("a release that is bad on one hardware returns there, and completes on the others") {
  RolloutFixture f;
  for (auto const version : {"1", "2"}) f.add_release(version, {"box", "cam", "hub"});
  for (auto const* const hardware : {"box", "cam", "hub"}) f.add_devices(40, hardware);
  REQUIRE(f.reaches(f.make("1", kPlainPolicy)->id, State::completed));
  f.behaviour = [](std::string const& device, std::string const& version) {
    return version == "2" && device.starts_with("box") && device.back() > '1' ? Behaviour::fails_probation : Behaviour::works;
  };
  auto const id = f.make("2", R"({"stages":[{"percent":25},{"percent":100}],"gates":{"failures":{}}})")->id;
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.get(id).progress.quarantined == std::set<std::string, std::less<>>{"box"});
  f.steps(4);
  CHECK(f.running_count("2") == 80);
  CHECK(f.running_count("1") == 40);
}

TEST_CASE("a person has a rollout go on whose one stratum is on its way back: who returns after that has returned") {
  RolloutFixture f;
  for (auto const version : {"1", "2"}) f.add_release(version, {"box", "cam", "hub"});
  for (auto const* const hardware : {"box", "cam", "hub"}) f.add_devices(40, hardware);
  REQUIRE(f.reaches(f.make("1", kPlainPolicy)->id, State::completed));
  f.behaviour = [](std::string const& device, std::string const& version) {
    return version == "2" && device.starts_with("box") && device.back() > '1' ? Behaviour::fails_probation : Behaviour::works;
  };
  auto const id = f.make("2", R"({"stages":[{"percent":25},{"percent":100}],"gates":{"failures":{}}})")->id;
  for (int i = 0; i < 60 && f.get(id).progress.quarantined.empty(); ++i) f.step();
  std::int64_t n = 1;
  while (n <= 40 && f.decide(n).models[0].target.action != wire::Action::revert) ++n;
  REQUIRE(n <= 40);
  auto const decision = f.decide(n);
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->dispatched(tx, *registry::load_device_facts(f.store->reader(), n), decision, f.clock.wall()); }));
  REQUIRE(f.state_of(id, n) == "reverting");
  REQUIRE(f.act([&](store::Tx& tx) { return pause(tx, id, f.deed()); }));
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, id, f.deed()); }));
  REQUIRE(f.get(id).progress.quarantined.empty());
  f.report(n, decision.models[0], "committed", "1");
  CHECK(f.state_of(id, n) == "reverted");
}
