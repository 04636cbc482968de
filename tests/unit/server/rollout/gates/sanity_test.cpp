#include "server/rollout/gates/sanity.hpp"

#include "tests/unit/server/rollout/gates/windows.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

TEST_CASE("more canaries than controls that people took out of the rollout pause it: a person looks what they saw") {
  struct Case {
    std::string name;
    WindowCounts window;
    std::string says;
  };
  for (auto const& c : {Case{"nobody left", one(cell(40), cell(360)), "nothing"},
                        {"one left", one(cell(40, {.left = 1}), cell(360)), "hold"},
                        {"as many of both", one(cell(40, {.left = 8}), cell(360, {.left = 72})), "hold"},
                        {"controls alone", one(cell(40), cell(360, {.left = 72})), "nothing"},
                        {"eight of forty canaries, no control", one(cell(40, {.left = 8}), cell(360)), "pause"},
                        {"there is no control to compare with", one(cell(40, {.left = 40}), cell(0)), "nothing"}}) {
    CAPTURE(c.name);
    Bench bench(kCompared);
    bench.with(c.window);
    CHECK(bench.ruling("sanity", "harm") == c.says);
  }
}

TEST_CASE("a part of the fleet that nobody has started in holds the stage, once so many others have that chance does not do it") {
  Bench bench(kCompared);
  std::map<std::string, std::int64_t, std::less<>> sizes{{"a", 750}, {"b", 250}};
  auto const says = [&] {
    std::vector<GateVerdict> out;
    judge_sanity({bench.policy, 1, false, bench.latches, bench.folded, bench.facts, 1'000, &sizes}, out);
    return out.empty() ? std::string("nothing") : out.front().text;
  };
  bench.with(one(cell(40), cell(360)));
  CHECK(says() == "nothing");
  bench.with(one(cell(120), cell(1'080)));
  CHECK_MESSAGE(says().starts_with("sanity: none of 160 canaries is of stratum b, which is 25 % of the fleet"), says());
  bench.with(one(cell(1), cell(9), "b"));
  CHECK(says() == "nothing");
  sizes.erase("a");
  CHECK(says() == "nothing");
}

TEST_CASE("arms of a test that come out of sizes other than planned pause it; a rollout's canaries and controls are of no planned sizes") {
  struct Row {
    std::int64_t a, b;
    double planned;
    std::string says;
  };
  for (auto const& c : {Row{250, 250, .5, "hold"}, {230, 270, .5, "hold"}, {180, 320, .5, "pause"}, {320, 180, .5, "pause"}, {50, 450, .1, "hold"}, {5, 450, .1, "pause"}, {40, 360, 0, "nothing"}}) {
    CAPTURE(c.a);
    Bench bench(kCompared);
    bench.with(one(cell(c.a), cell(c.b)));
    std::vector<GateVerdict> out;
    judge_sanity({bench.policy, 1, false, bench.latches, bench.folded, bench.facts, 1'000, nullptr, "m@2", {"device on m@2", "devices on m@2", "devices on m@1", "m@2"}, c.planned}, out);
    CHECK((out.empty() ? "nothing" : out.front().decision == Ruling::pause ? "pause" : "hold") == c.says);
    if (c.a == 180)
      CHECK_MESSAGE(out.front().text.starts_with("sanity: 180 devices on m@2 and 320 devices on m@1 started, of which 50 % should have been the first"), out.front().text);
  }
}

TEST_CASE("sanity never rolls back, and its words say what is odd; it is asked of every policy") {
  for (auto const* policy : {kCompared.c_str(), R"({"stages":[{"percent":100}]})"}) {
    Bench bench(policy);
    bench.with(one(cell(40, {.left = 8}), cell(360, {.left = 1})));
    CHECK(bench.policy.on_harm == OnHarm::rollback);
    auto const verdict = bench.said("sanity", "harm");
    CHECK(verdict.decision == Ruling::pause);
    CHECK(verdict.threshold == doctest::Approx(1'000));
    CHECK_MESSAGE(verdict.text.starts_with("sanity: people took 8 of 40 canaries out of the rollout, and 1 of 360 controls"), verdict.text);
    bench.latches["sanity"] = {8, 1'000, true};
    CHECK(bench.ruling("sanity", "harm") == "hold");
  }
}

TEST_CASE("sensors that are flagged with canaries and not with controls pause the rollout; with both they are the fleet's, and hold by coverage alone") {
  struct Case {
    std::string name;
    std::int64_t heard, flagged, control_heard, control_flagged;
    std::string says;
  };
  std::string const gated = R"({"stages":[{"percent":10},{"percent":100}],"gates":{"failures":{},"absolute":[{"metric":"accuracy","min":0.9}]}})";
  for (auto const& c : {Case{"none", 40, 0, 360, 0, "nothing"}, Case{"one of forty", 40, 1, 360, 0, "hold"}, Case{"half of both", 40, 20, 360, 180, "hold"},
                        Case{"controls alone", 40, 0, 360, 300, "nothing"}, Case{"all canaries, no control", 40, 40, 360, 0, "pause"}, Case{"nobody stands beside", 40, 40, 0, 0, "nothing"}}) {
    CAPTURE(c.name);
    Bench bench(gated);
    bench.with(one(cell(40), cell(360)));
    MetricTally tally;
    tally.heard = c.heard;
    tally.flagged = c.flagged;
    tally.seen = c.heard - c.flagged;
    tally.control_heard = c.control_heard;
    tally.control_flagged = c.control_flagged;
    tally.control_seen = c.control_heard - c.control_flagged;
    bench.facts.metrics = {tally};
    CHECK(bench.ruling("sanity accuracy", "harm") == c.says);
    CHECK(bench.ruling("accuracy", "harm") == "hold");
    CHECK(bench.ruling("coverage accuracy", "safe") == "hold");
    CHECK((bench.said("coverage accuracy", "safe").text.find("flagged") != std::string::npos) == (c.flagged > 0));
  }
}
