#include "server/rollout/engine/rows.hpp"
#include "server/rollout/gates/absolute.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include <fmt/format.h>

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

constexpr auto kAtOnce = R"({"stages":[{"percent":100}]})";

struct Leaving6 : RolloutFixture {
  Leaving6() {
    add_release("1", {"cam-a"});
    add_release("2", {"cam-a"});
    add_devices(6, "cam-a", R"({"site":"a"})");
  }
  /// The device is told, and reports that it is so far.
  Desired begin(std::int64_t n, std::string const& state) {
    hear(n);
    auto const facts = *registry::load_device_facts(store->reader(), n);
    auto const decision = decide(n);
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->dispatched(tx, facts, decision, clock.wall()); }));
    report(n, decision.models[0], state, state == "probation" ? decision.models[0].version : "");
    return decision.models[0];
  }
  void leave(std::int64_t n, rollout::Leaving how) {
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->left(tx, n, how, clock.wall()); }));
  }
  std::string shown(std::string const& id) { return *rollout_json(store->reader(), get(id)); }
};

}  // namespace

TEST_CASE("who is relabelled out of a rollout, retired or revoked in its middle leaves it, and it completes with the others") {
  for (auto const* state : {"downloading", "probation"})
    for (bool const relabelled : {true, false}) {
      CAPTURE(state);
      CAPTURE(relabelled);
      Leaving6 f;
      auto const id = f.make("1", kAtOnce, true, "site=a")->id;
      for (std::int64_t n : {1, 2}) f.begin(n, state);
      f.sql({"test.leave", relabelled ? "UPDATE devices SET labels = '{\"site\":\"b\"}' WHERE n <= 2" : "UPDATE devices SET state = 'retired' WHERE n <= 2"});
      for (std::int64_t n : {1, 2, 3}) f.leave(n, relabelled ? rollout::Leaving::relabelled : rollout::Leaving::wholly);
      f.offline = {1, 2};
      CHECK(f.reaches(id, State::completed));
      auto const shown = f.shown(id);
      for (auto const* part : {R"("left":2)", R"("healthy":4)", R"("failed":0)", R"("silent":0)"}) CHECK_MESSAGE(shown.find(part) != std::string::npos, shown);
      CHECK(shown.find(std::string_view(state) == "probation" ? R"("exposed":6)" : R"("exposed":4)") != std::string::npos);
    }
}

TEST_CASE("an outcome that a device had is kept when it leaves, and when it is deleted; its number is given to no other") {
  Leaving6 f;
  f.behaviour = [](std::string const& device, auto const&) { return device == "cam-a-5" ? Behaviour::fails_golden : Behaviour::works; };
  auto const id = f.make("1", kAtOnce)->id;
  f.steps(2);
  for (std::int64_t n : {5, 6}) {
    f.leave(n, rollout::Leaving::wholly);
    REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return name_gone(tx, n, "cam-a-" + std::to_string(n - 1)); }));
    f.sql({"test.delete", "DELETE FROM devices WHERE n = ?"}, n);
  }
  auto const shown = f.shown(id);
  for (auto const* part : {R"("healthy":5)", R"("failed":1)", R"("left":0)"}) CHECK_MESSAGE(shown.find(part) != std::string::npos, shown);
  auto const listed = *list_rollout_devices(f.store->reader(), f.get(id), "failed", 0, 0, 10);
  REQUIRE(listed.items.size() == 1);
  CHECK(listed.items[0].find(R"("device":"cam-a-5")") != std::string::npos);
  REQUIRE(f.reaches(id, State::running));
}

TEST_CASE("a device that comes back into the selector is told again") {
  Leaving6 f;
  auto const id = f.make("1", kAtOnce, true, "site=a")->id;
  f.begin(1, "downloading");
  f.sql({"test.leave", "UPDATE devices SET labels = '{\"site\":\"b\"}' WHERE n = 1"});
  f.leave(1, rollout::Leaving::relabelled);
  CHECK(f.decide(1).models[0].target.model.empty());
  f.sql({"test.return", "UPDATE devices SET labels = '{\"site\":\"a\"}' WHERE n = 1"});
  CHECK(f.decide(1).models[0].joins);
  CHECK(f.reaches(id, State::completed));
  CHECK(f.count(id, "healthy") == 6);
}

TEST_CASE("canaries that were taken away certify nothing") {
  Policy const policy = *decode_policy(R"({"stages":[{"percent":100}],"gates":{"certify":{"devices_max":["20%"]}}})");
  Facts facts;
  count(facts, {.window = 1, .state = device_state::kLeft, .exposed = true}, 1, 1);
  count(facts, {.window = 0, .state = device_state::kLeft}, 1, 1);  // before it started: no evidence of anything
  CHECK(facts.undecided == 0);
  CHECK(facts.decided == 0);
  auto folded = fold_nothing(policy);
  fold(folded, facts.window);
  std::vector<GateVerdict> verdicts;
  judge_certify({policy, 1, false, {}, folded, facts}, verdicts);
  REQUIRE(verdicts.size() == 1);
  CHECK_MESSAGE(verdicts[0].text.starts_with("certify: 1 of 1 device are bad"), verdicts[0].text);
}

TEST_CASE("what failed stays failed when it came back, with its cause; the end says why, not what its last step was") {
  Leaving6 f;
  f.behaviour = [](auto const&, std::string const& version) { return version == "2" ? Behaviour::fails_probation : Behaviour::works; };
  auto const first = f.make("1", kAtOnce)->id;
  REQUIRE(f.reaches(first, State::completed));
  auto const id = f.make("2", R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"agent.install_failure","devices_max":"20%"}]},"on_harm":"rollback"})")->id;
  REQUIRE(f.reaches(id, State::rolled_back));
  auto const shown = f.shown(id);
  for (auto const* part : {R"("failed":6)", R"("reverted":6)", "failures: 6 of 6 failed: health_failed"}) CHECK_MESSAGE(shown.find(part) != std::string::npos, shown);
  auto const explained = *explain_json(f.store->reader(), f.get(id));
  for (auto const* part : {"every reachable exposed device returned", R"("outcome":"failed")", R"("code":"health_failed")"})
    CHECK_MESSAGE(explained.find(part) != std::string::npos, explained);
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, first, f.deed("wrong readings")); }));
  REQUIRE(f.reaches(first, State::rolled_back));
  CHECK(f.shown(first).find(R"("reason":"rolled back by token:ops: wrong readings")") != std::string::npos);
}

TEST_CASE("who holds a stage up is named: devices at work, and the rollout that holds its members") {
  Leaving6 f;
  auto const first = f.make("1", kAtOnce, true, "site=a")->id;
  f.begin(1, "downloading");
  f.offline = {1, 2, 3, 4, 5, 6};
  REQUIRE(f.act([&](store::Tx& tx) { return rollout::pause(tx, first, f.deed("support calls")); }));
  f.steps(1);
  CHECK(f.shown(first).find("paused by token:ops: support calls") != std::string::npos);
  REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, first, f.deed()); }));
  f.steps(1);
  CHECK_MESSAGE(f.shown(first).find("1 device still at work: cam-a-0 (downloading)") != std::string::npos, f.shown(first));
}

TEST_CASE("the rollout that holds a stage's members is named") {
  Leaving6 f;
  f.sql({"test.move", "UPDATE devices SET labels = '{\"site\":\"a\",\"row\":\"1\"}'"});
  auto const holder = f.make("1", R"({"stages":[{"percent":100,"bake":"1h"}]})", true, "site=a")->id;
  auto const held = f.make("2", kAtOnce, true, "site=b")->id;
  f.steps(2);
  f.sql({"test.move", "UPDATE rollouts SET selector = 'row=1' WHERE id = ?"}, held);  // they come to overlap
  f.sql({"test.changed", "UPDATE fleet_changes SET n = n + 1"});  // as where labels did it
  f.engine = *Engine::create(f.services);  // selectors are read once
  f.steps(5);
  auto const shown = f.shown(held);
  CHECK_MESSAGE(shown.find(fmt::format("6 devices held by rollout {}", holder)) != std::string::npos, shown);
  CHECK_MESSAGE(shown.find(fmt::format(R"("blocked_by":["{}"])", holder)) != std::string::npos, shown);
}
