#include "server/rollout/engine/step.hpp"

#include "tests/unit/server/rollout/engine/stepping.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;
using std::chrono::hours;

namespace {

std::string const kWindows = R"({"stages":[{"devices":10,"window":5,"cap":20,"deadline":"24h"},{"percent":100}],
  "gates":{"failures":{"max_odds_ratio":[5]},"silent":{},"certify":{"devices_max":["5%"]}}})";
std::string const kEasy = R"({"stages":[{"devices":10,"window":5},{"percent":100,"window":10,"grow":2}],"gates":{"failures":{},"silent":{}}})";

}  // namespace

TEST_CASE("a window opens, is shut when all have started, and is taken in when all have an outcome; then the next opens") {
  Stepping s(kWindows);
  s.look();
  CHECK(s.last.told_anew);
  CHECK(s.last.entered);
  CHECK(s.progress.window == 1);
  CHECK(s.canaries() == 5);
  CHECK(s.controls() >= 45);  // nine a canary
  CHECK(s.progress.stage == 1);
  CHECK(s.progress.deadline == s.now + hours(24));
  CHECK_FALSE(s.progress.shut);

  s.facts.undispatched = 1;
  CHECK_FALSE(s.look().told_anew);
  CHECK(s.said("have not been told yet"));
  s.facts.undispatched = 0;
  s.start();
  s.look();
  CHECK(s.progress.shut);
  CHECK(s.progress.current() == 2);
  CHECK_FALSE(s.progress.judged);
  CHECK(s.said("5 devices still at work, and "));

  s.finish();
  s.look();
  CHECK(s.last.closed_window);
  CHECK(s.last.told_anew);
  CHECK(s.progress.folded.windows == 1);
  CHECK(s.progress.folded.canaries == 5);
  CHECK(s.progress.window == 2);
  CHECK(s.canaries() == 10);
  CHECK_FALSE(s.progress.judged);
  CHECK(s.said("window 2 opens: 10 canaries in all"));
}

TEST_CASE("what has come of an open window is not looked at: neither by harm nor for promotion") {
  Stepping s(kWindows);
  s.look();
  s.start();
  s.look();
  auto& cells = s.facts.window.at("a");
  cells[0] = {5, 0, 4, 0, 0, 0, 1};
  s.facts.failed = s.facts.decided = 4;
  s.facts.undecided = 1;
  for (int i = 0; i < 3; ++i) {
    s.look(hours(1));
    CHECK(s.event() == "none");
    CHECK(s.progress.folded.windows == 0);
    for (auto const& gate : s.last.gates)
      if (gate.test == "harm") CHECK(gate.e_value == doctest::Approx(1));
  }
  cells[0] = {5, 1, 4, 0, 0, 0, 0};
  s.facts.undecided = 0;
  s.look();
  CHECK(s.event() == "none");  // the controls are not through
  s.finish();
  cells[0] = {5, 1, 4, 0, 0, 0, 0};
  s.look();
  CHECK(s.event() == "roll_back");
  CHECK(s.said("4 of 5 canaries failed, 0 of "));
}

TEST_CASE("a window that nobody started in stays open, but where all its devices were told and none is on its way") {
  Stepping s(kEasy);
  s.look();
  s.facts.told = s.facts.waiting = 5;
  s.facts.undecided = 5;
  for (int i = 0; i < 3; ++i) CHECK(s.look(hours(1)).closed_window == false);
  CHECK(s.progress.window == 1);
  s.facts.waiting = s.facts.undecided = 0;  // left out of the stage
  CHECK(s.look().closed_window);
  CHECK(s.progress.window == 2);
  s.facts.offline = 5;  // a fleet asleep is not gone through window by window
  for (int i = 0; i < 3; ++i) CHECK(s.look(hours(1)).closed_window == false);
  CHECK(s.progress.window == 2);
}

TEST_CASE("where windows have their time, the next opens then; the open one is shut after half of it") {
  Stepping s(R"({"stages":[{"devices":20,"window":5,"every":"2h"},{"percent":100}],"gates":{"failures":{}}})");
  s.look();
  auto const opened = s.progress.opened;
  s.start();
  s.facts.told -= 2;  // two are offline
  s.facts.window.at("a")[0] = {3, 0, 0, 0, 0, 0, 3};
  s.facts.undecided = 3;
  s.look(std::chrono::minutes(30));
  CHECK_FALSE(s.progress.shut);
  CHECK(s.last.look_at == opened + hours(1));
  s.look(std::chrono::minutes(30));
  CHECK(s.progress.shut);
  s.finish();
  s.look();
  CHECK(s.last.closed_window);
  CHECK_FALSE(s.last.told_anew);
  CHECK(s.last.look_at == opened + hours(2));
  CHECK(s.said("the next window opens in "));
  s.look(hours(1));
  CHECK(s.progress.window == 2);
  CHECK(s.progress.opened == s.now);
}

TEST_CASE("without evidence windows go on to the stage's cap; there it waits for its deadline, which pauses and never promotes") {
  for (bool const back : {false, true}) {
    Stepping s(kWindows);
    if (back) s.policy.on_deadline = OnDeadline::rollback;
    s.look();
    std::vector<std::int64_t> sizes{s.canaries()};
    for (int i = 0; i < 6 && s.canaries() < 20; ++i) {
      s.play();
      sizes.push_back(s.canaries());
    }
    CHECK(sizes == std::vector<std::int64_t>{5, 10, 15, 20});
    s.play();
    CHECK(s.canaries() == 20);
    CHECK(s.progress.judged);
    CHECK(s.event() == "none");
    CHECK(s.said("not enough yet to say that"));
    CHECK(s.last.look_at == s.progress.deadline);
    s.look(hours(25));
    CHECK(s.event() == (back ? "roll_back" : "pause"));
    CHECK(s.said("the deadline of stage 1 passed: failures: 0 of 20"));
  }
}

TEST_CASE("a deadline is of service time and runs from the stage's start; resuming begins it anew") {
  Stepping s(kWindows);
  s.look();
  s.look(hours(23));
  CHECK(s.event() == "none");
  s.look(hours(2));
  CHECK(s.event() == "pause");
  CHECK(s.standing.state == State::paused);
  s.look(hours(100));
  CHECK(s.event() == "none");
  s.standing.state = State::running;
  s.progress = accept(s.progress);
  s.progress.stage_since.reset();
  s.look();
  CHECK(s.last.entered);
  CHECK(s.event() == "none");
  CHECK(s.progress.window == 1);
  CHECK(s.progress.deadline == s.now + hours(24));
}

TEST_CASE("after the evidence windows grow, to the whole fleet, and the rollout completes") {
  Stepping s(kEasy);
  s.look();
  std::vector<std::int64_t> sizes{s.canaries()};
  for (int i = 0; i < 20 && s.standing.state == State::running; ++i) {
    s.play();
    if (s.canaries() != sizes.back()) sizes.push_back(s.canaries());
  }
  CHECK(sizes == std::vector<std::int64_t>{5, 10, 20, 40, 80, 100});
  CHECK(s.standing.state == State::completed);
  CHECK(s.progress.folded.canaries == 100);
}

TEST_CASE("a stage bakes from when its devices are decided, for its time, and says when it is done") {
  Stepping s(R"({"stages":[{"devices":10,"bake":"6h"},{"percent":100}],"gates":{"failures":{}}})");
  s.look();
  CHECK_FALSE(s.progress.bake_since.has_value());
  s.play();
  CHECK(s.last.start_bake);
  auto const since = s.now;
  CHECK(s.progress.bake_since == since);
  CHECK(s.last.look_at == since + hours(6));
  CHECK(s.said("bakes for 6h, 6h are left"));
  s.look(hours(6) - Millis(1));
  CHECK_FALSE(s.last.start_bake);
  CHECK(s.event() == "none");
  s.look(Millis(1));
  CHECK(s.event() == "widen");
  CHECK(s.said("stage 1 of 2 passed: 10 healthy of 10 decided"));
  CHECK(s.progress.stage == 2);
  CHECK_FALSE(s.progress.bake_since.has_value());
}

TEST_CASE("promote --full tells all that are left at once, without control; evidence and bake are skipped, harm is not") {
  for (bool const harmful : {false, true}) {
    Stepping s(R"({"stages":[{"devices":10,"window":5,"bake":"6h","deadline":"1h"},{"percent":100,"bake":"6h","deadline":"1h"}],
      "gates":{"failures":{"max_odds_ratio":[2]},"absolute":[{"metric":"agent.install_failure","devices_max":"20%"}]}})");
    s.look();
    s.play();
    s.standing.full = true;
    s.standing.stage = 2;
    s.look();
    CHECK(s.last.entered);
    CHECK(s.progress.full);
    CHECK(s.canaries() == 100);
    CHECK(s.controls() == 0);
    CHECK_FALSE(s.progress.deadline.has_value());
    s.play(harmful ? Bad{.failed = 60} : Bad{});
    CHECK(s.event() == (harmful ? "roll_back" : "complete"));
  }
}

TEST_CASE("a verb names a stage and the next step enters it; a window that was open goes on, wider, and nothing that comes of it is lost") {
  Stepping s(R"({"stages":[{"devices":10},{"devices":40},{"percent":100}],"gates":{"failures":{}}})");
  s.look();
  s.start();
  s.look();
  REQUIRE(s.progress.shut);
  s.standing.stage = 2;
  s.look();
  CHECK(s.last.entered);
  CHECK(s.last.told_anew);
  CHECK(s.progress.stage == 2);
  CHECK(s.progress.window == 1);
  CHECK_FALSE(s.progress.shut);
  CHECK(s.canaries() == 40);
  s.play({.failed = 20});
  CHECK(s.progress.folded.canaries == 40);
  CHECK(s.event() == "roll_back");
}

TEST_CASE("a verb that names a stage after a window was judged does not judge that window again") {
  Stepping s(R"({"stages":[{"devices":10,"bake":"1h"},{"percent":100}],"gates":{"failures":{}}})");
  s.look();
  s.play();
  CHECK(s.progress.judged);
  s.standing.stage = 2;
  s.look();
  CHECK(s.progress.window == 2);
  CHECK_FALSE(s.progress.shut);
  CHECK(s.progress.folded.windows == 1);
  CHECK(s.progress.folded.canaries == 10);
}

TEST_CASE("a stage that adds nobody opens no window: it only waits for what it asks") {
  Stepping s(R"({"stages":[{"devices":1},{"percent":10,"bake":"1h"},{"percent":100}],"gates":{"failures":{}}})", {{"a", 5}});
  s.look();
  s.play();
  CHECK(s.event() == "widen");
  CHECK(s.standing.stage == 2);
  CHECK(s.progress.window == 1);
  CHECK(s.progress.judged);
  s.look();
  CHECK(s.last.start_bake);
  s.look(hours(1));
  CHECK(s.event() == "widen");
  CHECK(s.progress.window == 2);
}

TEST_CASE("a stage before which people approve waits for them once its evidence is in; harm rolls back there, too") {
  Stepping s(R"({"stages":[{"devices":10},{"percent":100}],"gates":{"failures":{}},"approvals":{"required":2,"before_stage":2}})");
  s.look();
  s.standing.approvals = 1;
  s.play();
  CHECK(s.event() == "ask_approval");
  CHECK(s.said("stage 1 passed; stage 2 waits for approval: 1 of 2"));
  CHECK(s.progress.stage == 1);
  s.look();
  CHECK(s.event() == "none");
  CHECK(s.said("waits for approval: 1 of 2"));
  s.standing = {.state = State::running, .stage = 2, .approvals = 2};  // the last approval
  s.look();
  CHECK(s.last.entered);
  CHECK(s.progress.window == 2);

  Stepping given(R"({"stages":[{"devices":10},{"percent":100}],"gates":{"failures":{}},"approvals":{"required":1,"before_stage":2}})");
  given.standing.approvals = 1;
  given.look();
  given.play();
  CHECK(given.event() == "widen");
}

TEST_CASE("a rollout that waits for another, or for its time, opens no window and has no deadline until it may begin") {
  Stepping s(kWindows);
  s.standing.begun = false;
  s.standing.waits_for = "rollout r_1, which is running";
  for (int i = 0; i < 3; ++i) {
    s.look(hours(48));
    CHECK(s.event() == "none");
    CHECK(s.last.reason == "waits for rollout r_1, which is running");
    CHECK_FALSE(s.last.begin);
    CHECK(s.progress == Progress{});
  }
  SUBCASE("what it waits for came") {
    s.standing.waits_for.clear();
    s.look();
    CHECK(s.last.begin);
    CHECK(s.last.told_anew);
    CHECK(s.progress.window == 1);
    CHECK(s.progress.deadline == s.now + hours(24));
  }
  SUBCASE("it will never come: a person decides") {
    s.standing.wait_ended = true;
    s.look();
    CHECK(s.event() == "pause");
    CHECK(s.said("comes after rollout r_1"));
    CHECK(s.progress == Progress{});
  }
}

TEST_CASE("a stratum that shows harm by itself is told nothing more; two such halt the rollout") {
  // Big strata that fail less than before hide one that fails: all strata together show no harm.
  Stepping s(R"({"stages":[{"percent":20},{"percent":100}],"gates":{"failures":{}}})", {{"a", 300}, {"b", 300}, {"c", 300}});
  s.look();
  REQUIRE(s.progress.window == 1);
  s.start();
  s.look();
  s.finish({.failed = 7}, {}, "b");
  s.finish({}, {.failed = 30}, "a");
  s.finish({}, {.failed = 30}, "c");
  s.look();
  CHECK(s.progress.quarantined == std::set<std::string, std::less<>>{"b"});
  CHECK(s.last.told_anew);
  CHECK(s.event() != "roll_back");
  SUBCASE("the others go on") {
    s.facts.undispatched = 1;
    s.look();
    CHECK_MESSAGE(s.standing.state == State::running, s.last.reason);
  }
  SUBCASE("a second one halts it") {
    s.look();
    s.progress.quarantined.insert("c");
    s.look();
    CHECK(s.event() == "roll_back");
    CHECK(s.said("strata b, c have each shown harm by themselves"));
  }
  SUBCASE("or pauses it") {
    s.policy.on_harm = OnHarm::pause;
    s.progress.quarantined.insert("c");
    s.look();
    CHECK(s.event() == "pause");
    CHECK(accept(s.progress).quarantined.empty());
  }
}

TEST_CASE("a release that is bad on one hardware of several leaves that one out, and goes on with the others, without what it showed") {
  Stepping s(R"({"stages":[{"percent":20},{"percent":100}],"gates":{"failures":{}}})", {{"a", 100}, {"b", 100}, {"c", 100}, {"d", 100}});
  s.look();
  s.start();
  s.look();
  for (auto const* const other : {"a", "c", "d"}) s.finish({}, {}, other);
  s.finish({.failed = 9}, {}, "b");
  s.look();
  CHECK(s.event() == "widen");
  CHECK(s.progress.quarantined == std::set<std::string, std::less<>>{"b"});
  CHECK(s.progress.folded.canaries == 60);
  CHECK(s.progress.folded.seen[0].canary.bad == 0);
  s.start();
  s.look();
  for (auto const* const other : {"a", "c", "d"}) s.finish({}, {}, other);
  s.finish({.failed = 80}, {}, "b");  // that were told before it was quarantined
  s.look();
  CHECK(s.event() == "complete");
}

TEST_CASE("who starts after the last window was judged is judged in a window of its own, as long as the rollout has not completed") {
  Stepping s(R"({"stages":[{"percent":100,"bake":"6h"}],"gates":{"failures":{},"silent":{},"absolute":[{"metric":"agent.install_failure","devices_max":"20%"}]}})");
  s.look();
  s.play();
  REQUIRE(s.progress.judged);
  CHECK(s.said("bakes for"));
  s.facts.later = 30;
  s.look(hours(1));
  CHECK(s.last.told_anew);
  CHECK(s.progress.window == 2);
  CHECK_FALSE(s.progress.judged);
  CHECK(s.canaries() == 100);
  CHECK(s.said("window 2 opens for 30 devices that started late"));
  s.facts.later = 0;
  SUBCASE("they are well") {
    s.facts.window["a"] = {Cell{30, 30, 0, 0, 0, 0, 0}, Cell{}};
    s.look(hours(6));
    CHECK(s.progress.folded.canaries == 130);
    CHECK(s.event() == "complete");
  }
  SUBCASE("they are not") {
    s.facts.window["a"] = {Cell{30, 0, 30, 0, 0, 0, 0}, Cell{270, 270, 0, 0, 0, 0, 0}};
    s.look(hours(1));
    CHECK(s.event() == "roll_back");
  }
  SUBCASE("nobody else opens one") {
    s.facts.window["a"] = {Cell{30, 30, 0, 0, 0, 0, 0}, Cell{}};
    s.look(hours(1));
    CHECK(s.progress.judged);
    s.look(hours(1));
    CHECK(s.progress.window == 2);
  }
}

TEST_CASE("a window whose devices are to be compared by what they measured waits a report interval for it, and an hour at most") {
  for (auto const due : {Millis(0), Millis(60'000), Millis(hours(9))}) {
    Stepping s(R"({"stages":[{"devices":10},{"percent":100}],"gates":{"failures":{},"metrics":[{"name":"latency_ms"}]}})");
    s.facts.samples_due = due;
    s.look();
    s.play();
    CHECK(s.progress.judged == (due == Millis(0)));
    if (due == Millis(0)) continue;
    CHECK(s.said("waits for what its devices measured"));
    auto const wait = std::min<Millis>(due, hours(1));
    CHECK_FALSE(closes_window({s.policy, s.ladder}, s.progress, {s.now + wait - Millis(1), s.standing, s.facts}));
    CHECK(closes_window({s.policy, s.ladder}, s.progress, {s.now + wait, s.standing, s.facts}));
    s.look(wait);
    CHECK(s.progress.judged);
  }
}

TEST_CASE("an emergency skips bake and evidence, not harm") {
  for (bool const harmful : {false, true}) {
    Stepping s(R"({"stages":[{"devices":10,"bake":"24h","min_devices":50},{"percent":100}],"gates":{"failures":{"max_odds_ratio":[1.5]},"silent":{}},"emergency":true})");
    s.look();
    s.play(harmful ? Bad{.failed = 8} : Bad{});
    CHECK(s.event() == (harmful ? "roll_back" : "widen"));
  }
}

TEST_CASE("harm rolls back while paused or awaiting approval, too; with on_harm pause nothing moves there") {
  for (auto const state : {State::running, State::paused, State::awaiting_approval})
    for (auto const on_harm : {OnHarm::rollback, OnHarm::pause}) {
      CAPTURE(to_string(state));
      Stepping s(kWindows);
      s.policy.on_harm = on_harm;
      s.look();
      s.start();
      s.look();
      s.finish({.failed = 5});
      s.standing.state = state;
      s.look();
      CHECK(s.event() == (on_harm == OnHarm::rollback ? "roll_back" : state == State::running ? "pause" : "none"));
      CHECK(s.standing.latches.contains("failures"));
    }
}

TEST_CASE("harm stands until a person accepts it; then it is looked for anew") {
  Stepping s(kWindows);
  s.policy.on_harm = OnHarm::pause;
  s.look();
  s.play({.failed = 4});
  REQUIRE(s.event() == "pause");
  CHECK(s.standing.latches.at("failures").bad == 4);
  s.standing.state = State::running;
  s.look();
  CHECK(s.event() == "pause");  // nobody accepted it
  s.standing.state = State::running;
  s.standing.latches.clear();
  s.progress = accept(s.progress);
  s.look();
  CHECK(s.event() == "none");
  CHECK(s.progress.window == 2);
  CHECK(s.progress.folded.windows == 0);
  s.play({.failed = 5});
  CHECK(s.event() == "pause");
}

TEST_CASE("a storm promotes nothing: windows go on until the weather is calm") {
  Stepping s(R"({"stages":[{"devices":10,"window":10,"cap":60},{"percent":100}],"gates":{"failures":{"max_odds_ratio":[20]},"certify":{"devices_max":["50%"]}}})", {{"a", 1000}});
  s.look();
  s.play({.failed = 4}, {.failed = 36});
  CHECK(s.progress.folded.storms == 1);
  CHECK(s.event() == "none");
  CHECK(s.progress.window == 2);
  s.play();
  CHECK(s.event() == "widen");
}

TEST_CASE("a revoked release aborts whatever the gates say; a restored rollout takes nothing back by itself") {
  Stepping revoked(kWindows);
  revoked.look();
  revoked.standing.release_revoked = true;
  revoked.look();
  CHECK(revoked.event() == "abort");

  Stepping restored(kWindows);
  restored.look();
  restored.start();
  restored.finish({.failed = 5});
  restored.standing.restored = true;
  restored.standing.state = State::paused;
  restored.standing.cause = "restored from a backup";
  restored.look();
  CHECK(restored.event() == "none");
  CHECK(restored.last.reason == "restored from a backup");
}

TEST_CASE("rolled back is when every reachable exposed device returned; the reason stays the cause") {
  Stepping s(kWindows);
  s.look();
  s.standing.state = State::rolling_back;
  s.standing.cause = "failures: 5 of 5 failed";
  s.facts.to_revert = 1;
  s.look();
  CHECK(s.event() == "none");
  s.facts.to_revert = 0;
  s.look();
  CHECK(s.event() == "all_reverted");
  CHECK(s.last.reason == "failures: 5 of 5 failed");
  CHECK(s.last.step == "every reachable exposed device returned to its previous version");
}

TEST_CASE("without gates a stage passes when all that started have committed") {
  for (auto const& [bad, event] : {std::pair{Bad{}, "widen"}, std::pair{Bad{.failed = 1}, "none"}, std::pair{Bad{.silent = 1}, "widen"}}) {
    Stepping s(R"({"stages":[{"percent":50},{"percent":100}]})");
    s.look();
    CHECK(s.controls() == 0);
    s.play(bad);
    CHECK(s.event() == event);
  }
}

TEST_CASE("a stage whose devices all run the release already passes; one that is offline holds it") {
  Stepping s(kWindows);
  s.look();
  s.facts.told = s.facts.there = 5;
  s.look();
  s.facts.told = s.facts.there = 10;
  s.facts.offline = 1;
  s.look();
  CHECK(s.event() == "none");
  s.facts.offline = 0;
  s.facts.told = s.facts.there = s.canaries();
  s.look();
  CHECK(s.event() == "widen");
}

TEST_CASE("a person's latch of a metric that was accepted trips again when more are bad") {
  Stepping s(R"({"stages":[{"percent":100,"bake":"1h"}],"gates":{"absolute":[{"metric":"accuracy","min":0.9,"samples":50,"devices_max":"2%"}]},"on_harm":"pause"})");
  s.look();
  s.play();
  s.facts.metrics = {{3, 0, 100, 0, 100}};
  s.standing.latches["accuracy"] = {10, 5'000, true};
  s.facts.metrics[0].bad = 10;
  s.look();
  CHECK(s.event() == "none");
  s.facts.metrics[0].bad = 11;
  s.look();
  CHECK(s.event() == "pause");
  CHECK(s.standing.latches.at("accuracy") == Latch{11, s.standing.latches.at("accuracy").e_value, false});
}

TEST_CASE("each state has a way out but the last ones, and names are read back") {
  for (auto const& edge : kEdges) CHECK(next_state(edge.from, edge.event) == edge.to);
  for (auto const name : kStateNames) CHECK(to_string(*parse_state(name)) == name);
  CHECK_FALSE(parse_state("done").has_value());
  for (std::size_t e = 0; e < kEventNames.size(); ++e) CHECK_FALSE(next_state(State::rolled_back, static_cast<Event>(e)).has_value());
}
