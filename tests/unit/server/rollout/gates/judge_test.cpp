#include "server/rollout/gates/judge.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

SysTime const kNow = from_unix_ms(1'800'000'000'000);

/// The demonstration's policy: 40 devices in two classes, a canary of 2 + 2.
Policy demo_policy() {
  return *decode_policy(R"({"stages":[{"percent":10,"bake":"1s","deadline":"10m"},{"percent":50,"bake":"1s"},{"percent":100,"bake":"1s"}],
    "gates":{"silent":{"after_reports":3},"absolute":[{"metric":"agent.install_failure","devices_max":"2%"},{"metric":"accuracy","min":0.90,"samples":50,"devices_max":"2%"}],
    "certify":{"devices_max":["60%","20%","12%"]}}})");
}

struct Fleet {
  int good = 0, failed = 0, silent = 0, inaccurate = 0, unmeasured = 0, busy = 0, offline_at_dispatch_failed = 0, there = 0;
};

Facts facts_of(Policy const& policy, Fleet const& fleet, std::optional<SysTime> bake_since = {}) {
  Fold fold(policy, bake_since);
  auto const add = [&](int count, std::string_view state, bool eligible, std::int64_t samples, double mean, bool was_there = false) {
    DeviceEvidence device{state, state != device_state::kDispatched, eligible, kNow - seconds(60), {}, was_there};
    for (auto const& gate : policy.absolute)
      device.samples.push_back(gate.metric == kInstallFailure ? Samples{} : Samples{samples, mean * static_cast<double>(samples)});
    for (int i = 0; i < count; ++i) fold.add(device);
  };
  add(fleet.good, device_state::kHealthy, true, 60, .97);
  add(fleet.failed, device_state::kFailed, true, 0, 0);
  add(fleet.silent, device_state::kSilent, true, 0, 0);
  add(fleet.inaccurate, device_state::kHealthy, true, 60, .40);
  add(fleet.unmeasured, device_state::kHealthy, true, 10, .97);
  add(fleet.busy, device_state::kDispatched, true, 0, 0);
  add(fleet.offline_at_dispatch_failed, device_state::kFailed, false, 0, 0);
  add(fleet.there, device_state::kHealthy, false, 0, 0, true);
  return fold.facts;
}

Standing baked(int stage) {
  Standing out;
  out.stage = stage;
  out.bake_since = kNow - seconds(2);
  out.deadline = kNow + std::chrono::hours(1);
  return out;
}

std::string event_of(Verdict const& verdict) { return verdict.event ? std::string(to_string(*verdict.event)) : "none"; }

}  // namespace

TEST_CASE("the judge's table: what a stage's devices lead to") {
  auto const policy = demo_policy();
  struct Case {
    std::string name;
    int stage;
    Fleet fleet;
    Ruling decision;
    char const* event;
    char const* words;
  };
  for (auto const& c : {
           Case{"four healthy canaries", 1, {.good = 4}, Ruling::promote, "widen", "stage 1 of 3 passed"},
           {"twenty healthy", 2, {.good = 20}, Ruling::promote, "widen", "stage 2 of 3 passed"},
           {"thirty-six healthy", 3, {.good = 36}, Ruling::promote, "complete", "stage 3 of 3 passed"},
           {"failures are told first: 5 of 5 decided, 1,000 under way", 1, {.failed = 5, .busy = 1000}, Ruling::hold, "none", "1000 devices still at work"},
           {"and when they are too many all the same", 1, {.failed = 60, .busy = 1000}, Ruling::rollback, "roll_back", "60 of 1060 failed"},
           {"silence is told first, too", 1, {.silent = 6, .busy = 1000}, Ruling::hold, "none", "1000 devices still at work"},
           {"three healthy are too little evidence", 1, {.good = 3}, Ruling::hold, "none", "certify"},
           {"nobody", 1, {}, Ruling::hold, "none", "0 devices decided"},
           {"four inaccurate canaries", 1, {.inaccurate = 4}, Ruling::rollback, "roll_back", "accuracy: 4 of 4 devices have a mean below 0.9"},
           {"three of four inaccurate", 1, {.good = 1, .inaccurate = 3}, Ruling::rollback, "roll_back", "accuracy: 3 of 4"},
           {"two of four inaccurate are not enough to roll back, and enough not to promote", 1, {.good = 2, .inaccurate = 2}, Ruling::hold, "none", "certify"},
           {"three of four failed", 1, {.good = 1, .failed = 3}, Ruling::rollback, "roll_back", "failures: 3 of 4 failed"},
           {"four silent", 1, {.silent = 4}, Ruling::rollback, "roll_back", "silent: 4 of 4"},
           {"failures of devices that were offline, or that the release did not cause, are no evidence",
            1,
            {.good = 4, .offline_at_dispatch_failed = 9},
            Ruling::promote,
            "widen",
            ""},
           {"one still at work", 1, {.good = 4, .busy = 1}, Ruling::hold, "none", "1 device still at work"},
           {"healthy, but not measured yet: no data is never good news", 1, {.unmeasured = 4}, Ruling::hold, "none", "samples of accuracy"},
           {"one of thirty-six not measured", 3, {.good = 36, .unmeasured = 1}, Ruling::promote, "complete", ""},
       }) {
    CAPTURE(c.name);
    auto const verdict = judge(policy, baked(c.stage), facts_of(policy, c.fleet, c.fleet.busy > 0 ? std::nullopt : baked(1).bake_since), kNow);
    CHECK(to_string(verdict.decision) == to_string(c.decision));
    CHECK(event_of(verdict) == c.event);
    auto const words = verdict.reason + " | " + (verdict.gates.empty() ? "" : verdict.gates[0].text);
    CHECK_MESSAGE(verdict.reason.find(c.words) != std::string::npos, words);
  }
}

TEST_CASE("baking starts when all reachable devices are decided, and holds for its time") {
  auto const policy = demo_policy();
  auto standing = baked(1);
  standing.bake_since = std::nullopt;
  auto const facts = facts_of(policy, {.good = 4});
  auto verdict = judge(policy, standing, facts, kNow);
  CHECK(verdict.start_bake);
  CHECK_FALSE(verdict.event.has_value());
  standing.bake_since = kNow - Millis(999);
  CHECK_FALSE(judge(policy, standing, facts, kNow).event.has_value());
  standing.bake_since = kNow - Millis(1000);
  CHECK(judge(policy, standing, facts, kNow).event == Event::widen);
}

TEST_CASE("reachable members that were not told yet hold a stage, offline and blocked ones do not") {
  auto const policy = demo_policy();
  auto standing = baked(1);
  standing.bake_since = std::nullopt;
  auto facts = facts_of(policy, {.good = 4});
  facts.undispatched = 1;
  CHECK_FALSE(judge(policy, standing, facts, kNow).start_bake);
  facts.undispatched = 0;
  facts.offline = 3;
  facts.blocked = 2;
  CHECK(judge(policy, standing, facts, kNow).start_bake);
}

TEST_CASE("a deadline pauses, or rolls back where the policy says so, and never promotes") {
  auto policy = demo_policy();
  auto standing = baked(1);
  standing.deadline = kNow;
  auto const facts = facts_of(policy, {.good = 3});
  auto verdict = judge(policy, standing, facts, kNow);
  CHECK(verdict.event == Event::pause);
  CHECK(verdict.reason.find("deadline of stage 1") != std::string::npos);
  policy.on_deadline = OnDeadline::rollback;
  CHECK(judge(policy, standing, facts, kNow).event == Event::roll_back);
  CHECK(judge(policy, standing, facts_of(policy, {.good = 4}), kNow).event == Event::widen);
}

TEST_CASE("harm is latched: later healthy devices do not undo it") {
  auto const policy = demo_policy();
  auto standing = baked(1);
  auto const tripped = judge(policy, standing, facts_of(policy, {.good = 1, .inaccurate = 3}), kNow);
  REQUIRE(tripped.latches.contains("accuracy"));
  CHECK(tripped.latches.at("accuracy").bad == 3);
  standing.latches = tripped.latches;
  auto const later = judge(policy, standing, facts_of(policy, {.good = 36}), kNow);
  CHECK(later.decision == Ruling::rollback);
  CHECK(later.reason.find("that stands") != std::string::npos);
}

TEST_CASE("a person who resumes accepts the harm that is known; more of it trips again") {
  auto policy = demo_policy();
  policy.on_harm = OnHarm::pause;
  auto standing = baked(1);
  standing.latches["accuracy"] = {3, 5000, true};
  CHECK(judge(policy, standing, facts_of(policy, {.good = 1, .inaccurate = 3}), kNow).decision == Ruling::hold);
  auto const worse = judge(policy, standing, facts_of(policy, {.inaccurate = 4}), kNow);
  CHECK(worse.event == Event::pause);
  CHECK_FALSE(worse.latches.at("accuracy").accepted);
}

TEST_CASE("harm rolls back while paused or awaiting approval, too; with on_harm pause nothing moves there") {
  auto policy = demo_policy();
  auto const facts = facts_of(policy, {.inaccurate = 4});
  for (auto const state : {State::running, State::paused, State::awaiting_approval}) {
    auto standing = baked(1);
    standing.state = state;
    policy.on_harm = OnHarm::rollback;
    CHECK(judge(policy, standing, facts, kNow).event == Event::roll_back);
    policy.on_harm = OnHarm::pause;
    CHECK(event_of(judge(policy, standing, facts, kNow)) == (state == State::running ? "pause" : "none"));
  }
}

TEST_CASE("a stage that needs approvals waits for them after its evidence is in") {
  auto policy = demo_policy();
  policy.approvals_required = 2;
  policy.approvals_before_stage = 2;
  auto standing = baked(1);
  standing.approvals = 1;
  CHECK(judge(policy, standing, facts_of(policy, {.good = 4}), kNow).event == Event::ask_approval);
  standing.approvals = 2;
  CHECK(judge(policy, standing, facts_of(policy, {.good = 4}), kNow).event == Event::widen);
  standing.approvals = 0;
  standing.stage = 2;
  CHECK(judge(policy, standing, facts_of(policy, {.good = 20}), kNow).event == Event::widen);
}

TEST_CASE("promote --full skips evidence and bake; harm stays armed") {
  auto const policy = demo_policy();
  Standing standing = baked(3);
  standing.full = true;
  CHECK(judge(policy, standing, facts_of(policy, {.unmeasured = 1}), kNow).event == Event::complete);
  CHECK(judge(policy, standing, facts_of(policy, {.inaccurate = 4}), kNow).event == Event::roll_back);
}

TEST_CASE("without gates a stage passes when every reachable target has committed") {
  auto const policy = *decode_policy(R"({"stages":[{"percent":50},{"percent":100}]})");
  auto standing = baked(1);
  standing.deadline = std::nullopt;
  CHECK(judge(policy, standing, facts_of(policy, {.good = 1}), kNow).event == Event::widen);
  CHECK_FALSE(judge(policy, standing, facts_of(policy, {.good = 1, .busy = 1}), kNow).event.has_value());
  CHECK_FALSE(judge(policy, standing, facts_of(policy, {.good = 1, .failed = 1}), kNow).event.has_value());
  CHECK_FALSE(judge(policy, standing, facts_of(policy, {}), kNow).event.has_value());
  CHECK(judge(policy, standing, facts_of(policy, {.good = 1, .silent = 1}), kNow).event == Event::widen);
}

TEST_CASE("a stage whose devices all run the release already passes; beside one that does not they are no evidence") {
  auto const policy = demo_policy();
  auto facts = facts_of(policy, {.there = 4});
  CHECK(event_of(judge(policy, baked(1), facts, kNow)) == "widen");
  for (auto* const left : {&facts.undispatched, &facts.offline, &facts.blocked}) {
    *left = 1;
    CHECK(event_of(judge(policy, baked(1), facts, kNow)) == "none");
    *left = 0;
  }
  CHECK(event_of(judge(policy, baked(1), facts_of(policy, {.busy = 1, .there = 4}), kNow)) == "none");
  CHECK(event_of(judge(policy, baked(1), facts_of(policy, {.offline_at_dispatch_failed = 9, .there = 1}), kNow)) == "none");
  auto fresh = baked(1);
  fresh.bake_since.reset();
  CHECK(event_of(judge(policy, fresh, facts, kNow)) == "widen");                                         // there is nothing to wait for
  CHECK(event_of(judge(policy, baked(1), facts_of(policy, {.good = 1, .there = 40}), kNow)) == "none");  // certify asks for four
  CHECK(event_of(judge(policy, baked(1), facts_of(policy, {.good = 4, .there = 40}), kNow)) == "widen");
  CHECK(event_of(judge(policy, baked(1), facts_of(policy, {}), kNow)) == "none");
}

TEST_CASE("a revoked release aborts; a rollout after another waits for it, and pauses when that one failed") {
  auto const policy = demo_policy();
  auto const facts = facts_of(policy, {.good = 4});
  auto standing = baked(1);
  standing.release_revoked = true;
  CHECK(judge(policy, standing, facts, kNow).event == Event::abort);
  standing = baked(1);
  standing.begun = false;
  standing.deadline = kNow - seconds(1);
  standing.predecessor = "r_1, which is running";
  CHECK_FALSE(judge(policy, standing, facts, kNow).event.has_value());
  CHECK(judge(policy, standing, facts, kNow).reason == "waits for rollout r_1, which is running");
  CHECK_FALSE(judge(policy, standing, facts, kNow).begin);
  standing.predecessor_ended = true;
  CHECK(judge(policy, standing, facts, kNow).event == Event::pause);
  standing.predecessor.clear();
  CHECK_FALSE(judge(policy, standing, facts, kNow).event.has_value());
  CHECK(judge(policy, standing, facts, kNow).begin);
}

TEST_CASE("rolled back is when every reachable exposed device returned") {
  auto const policy = demo_policy();
  auto standing = baked(1);
  standing.state = State::rolling_back;
  auto facts = facts_of(policy, {.inaccurate = 4});
  facts.to_revert = 1;
  CHECK_FALSE(judge(policy, standing, facts, kNow).event.has_value());
  facts.to_revert = 0;
  CHECK(judge(policy, standing, facts, kNow).event == Event::all_reverted);
}

TEST_CASE("each state has a way out but the last ones, and names are read back") {
  for (auto const& edge : kEdges) CHECK(next_state(edge.from, edge.event) == edge.to);
  for (auto const name : kStateNames) CHECK(to_string(*parse_state(name)) == name);
  CHECK_FALSE(parse_state("done").has_value());
  for (std::size_t e = 0; e < kEventNames.size(); ++e) CHECK_FALSE(next_state(State::rolled_back, static_cast<Event>(e)).has_value());
}
