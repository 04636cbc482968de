#include "server/rollout/gates/absolute.hpp"

#include "tests/unit/server/rollout/gates/windows.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

std::string const kDemo = R"({"stages":[{"percent":10,"min_devices":3},{"percent":50},{"percent":100}],
  "gates":{"silent":{},"absolute":[{"metric":"agent.install_failure","devices_max":"2%"},{"metric":"accuracy","min":0.90,"samples":50,"devices_max":"2%"}],
  "certify":{"devices_max":["60%","20%","12%"]}}})";

Bench demo(Cell const& canaries, Cell const& controls = cell(0)) {
  Bench bench(kDemo);
  bench.with(one(canaries, controls));
  bench.facts.metrics = {{}, {0, 0, canaries.healthy, controls.healthy, canaries.healthy}};
  return bench;
}

}  // namespace

TEST_CASE("shares of canaries: golden tests, failed updates and evidence to promote, without any comparison") {
  struct Case {
    std::string name;
    int stage;
    Cell canaries;
    std::string golden, failure, certify, least;
  };
  for (auto const& c : {
           Case{"four healthy", 1, cell(4), "nothing", "hold", "promote", "promote"},
           {"three healthy are too little evidence", 1, cell(3), "nothing", "hold", "hold", "promote"},
           {"two are fewer than the stage wants", 1, cell(2), "nothing", "hold", "hold", "hold"},
           {"nobody: no data is never good news", 1, cell(0), "nothing", "hold", "hold", "hold"},
           {"nobody in a stage that wants no number", 2, cell(0), "nothing", "hold", "hold", "hold"},
           {"twenty healthy", 2, cell(20), "nothing", "hold", "promote", "promote"},
           {"thirty-six healthy", 3, cell(36), "nothing", "hold", "promote", "promote"},
           {"twenty healthy are too few for the last stage", 3, cell(20), "nothing", "hold", "hold", "promote"},
           {"three of four failed", 1, cell(4, {.failed = 3}), "nothing", "rollback", "hold", "promote"},
           {"one of four failed", 1, cell(4, {.failed = 1}), "nothing", "hold", "hold", "promote"},
           {"four of four failed their golden test", 1, cell(4, {.golden = 4}), "rollback", "rollback", "hold", "promote"},
           {"one golden test of a hundred", 2, cell(100, {.golden = 1}), "hold", "hold", "promote", "promote"},
           {"silent ones speak against promotion", 1, cell(4, {.silent = 2}), "nothing", "hold", "hold", "promote"},
           {"and so do those that were taken away", 1, cell(4, {.left = 2}), "nothing", "hold", "hold", "hold"},
       }) {
    CAPTURE(c.name);
    auto bench = demo(c.canaries);
    bench.stage = c.stage;
    CHECK(bench.ruling("golden", "harm") == c.golden);
    CHECK(bench.ruling(kInstallFailure, "harm") == c.failure);
    CHECK(bench.ruling("certify", "safe") == c.certify);
    CHECK(bench.ruling("min_devices", "safe") == c.least);
  }
}

TEST_CASE("a storm counts for no guardrail; a golden test fails in any weather") {
  auto const storm = demo(cell(4, {.failed = 4}), cell(36, {.failed = 30}));
  CHECK(storm.folded.storms == 1);
  CHECK(storm.ruling(kInstallFailure, "harm") == "hold");
  CHECK(demo(cell(4, {.golden = 4}), cell(36, {.failed = 30})).ruling("golden", "harm") == "rollback");
}

TEST_CASE("bad devices of a metric: without excess over control it pauses, not rolls back") {
  struct Case {
    std::string name;
    MetricTally tally;
    std::string says;
  };
  for (auto const& c : {Case{"four of four, without control", {4, 0, 4, 0, 4}, "rollback"},
                        {"four of four, and no control that has sent as much", {4, 0, 4, 36, 4}, "rollback"},
                        {"four of four, and all controls", {4, 36, 4, 36, 4}, "pause"},
                        {"four of four, a third of the controls: not more than chance", {4, 14, 4, 36, 4}, "pause"},
                        {"one of four", {1, 0, 4, 36, 4}, "hold"},
                        {"controls alone are bad", {0, 36, 4, 36, 4}, "hold"}}) {
    CAPTURE(c.name);
    auto bench = demo(cell(4), cell(36));
    auto tally = c.tally;
    for (auto& aged : tally.aged) aged = {{tally.bad, tally.seen}, {tally.control_bad, tally.control_seen}};
    bench.facts.metrics[1] = tally;
    CHECK(bench.ruling("accuracy", "harm") == c.says);
  }
  auto bench = demo(cell(4), cell(36));
  bench.facts.metrics[1] = {4, 0, 4, 0, 4};
  CHECK_MESSAGE(bench.said("accuracy", "harm").text.starts_with("accuracy: 4 of 4 devices have a mean below 0.9; more than the 2 % that are allowed"), bench.said("accuracy", "harm").text);
  bench.facts.metrics[1] = {4, 0, 4, 36, 4};  // no control has sent as much yet
  CHECK(bench.ruling("accuracy", "harm") == "hold");
  CHECK_MESSAGE(bench.said("accuracy", "harm").text.find("below 0.9, and of controls 0 of 36; ") != std::string::npos, bench.said("accuracy", "harm").text);
  CHECK(bench.ruling("coverage accuracy", "safe") == "hold");
}

TEST_CASE("nine of ten healthy devices must have sent enough; promote --full does without") {
  for (auto const& [covered, says] : {std::pair{9, "promote"}, std::pair{8, "hold"}, std::pair{0, "hold"}}) {
    CAPTURE(covered);
    auto bench = demo(cell(10));
    bench.facts.metrics[1].covered = covered;
    CHECK(bench.ruling("coverage accuracy", "safe") == says);
    bench.full = true;
    CHECK(bench.ruling("coverage accuracy", "safe") == "nothing");
    CHECK(bench.ruling("certify", "safe") == "nothing");
    CHECK(bench.ruling("min_devices", "safe") == "promote");
  }
  auto nobody = demo(cell(0));
  nobody.full = true;
  CHECK(nobody.ruling("min_devices", "safe") == "hold");  // also then: no data is never good news
}

TEST_CASE("devices that run the release already are nothing to learn from; where all do, nothing is asked") {
  Bench bench(kDemo);
  bench.facts.told = bench.facts.there = 4;
  CHECK(nothing_at_risk(bench.facts));
  CHECK(bench.ruling("min_devices", "safe") == "promote");
  CHECK(bench.ruling("certify", "safe") == "nothing");
  CHECK(bench.ruling("coverage accuracy", "safe") == "nothing");
  for (auto* const left : {&bench.facts.undispatched, &bench.facts.offline, &bench.facts.blocked}) {
    *left = 1;
    CHECK(bench.ruling("min_devices", "safe") == "hold");
    *left = 0;
  }
  bench.facts.told = 5;
  CHECK(bench.ruling("min_devices", "safe") == "hold");
}

TEST_CASE("absolute gates that name no alpha share one; golden tests and a gate's own are beside them") {
  Bench bench(kDemo);
  CHECK(bench.said(kInstallFailure, "harm").threshold == doctest::Approx(2'000));
  CHECK(bench.said("accuracy", "harm").threshold == doctest::Approx(2'000));
  bench.policy.absolute[0].alpha = .005;
  CHECK(bench.said(kInstallFailure, "harm").threshold == doctest::Approx(200));
  CHECK(bench.said("accuracy", "harm").threshold == doctest::Approx(1'000));
}

TEST_CASE("certify stands back where failures are compared: a share is one way to that gate's evidence") {
  Bench bench(kCompared);
  bench.with(one(cell(100), cell(900)));
  CHECK(bench.ruling("certify", "safe") == "nothing");
  CHECK(bench.ruling("failures", "safe") == "promote");
}

TEST_CASE("what failed is named by its code, the three that are told most") {
  auto bench = demo(cell(8, {.failed = 8}));
  bench.facts.failures = {{"health_failed", 8}};
  CHECK(bench.said(kInstallFailure, "harm").text.starts_with("failures: 8 of 8 failed: health_failed; more than the 2 % that are allowed"));
  bench.facts.failures = {{"a", 1}, {"b", 2}, {"c", 4}, {"d", 1}, {"", 3}};
  CHECK(codes_text(bench.facts) == ": 4 c, 2 b, 1 a, and others");
  CHECK(codes_text({}).empty());
}

TEST_CASE("a plan says how many bad devices show what, or that so few can show nothing") {
  auto const policy = *decode_policy(kDemo);
  CHECK(plan_absolute(policy, 4, 36).find("accuracy: ") != std::string::npos);
  CHECK(plan_absolute(policy, 1, 0).find("cannot show that more than 2 % are bad") != std::string::npos);
}
