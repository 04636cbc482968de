#include "server/rollout/gates/first.hpp"

#include "tests/unit/server/rollout/gates/windows.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

TEST_CASE("a release that has failed everywhere so far pauses: after two, after one of a fleet of three, after three where a comparison could take it back") {
  struct Case {
    std::string name;
    std::int64_t reach, installs;
    Cell canaries, controls;
    std::string says;
  };
  for (auto const& c : {Case{"one of one, of many", 12, 0, cell(1, {.failed = 1}), cell(0), "hold"},
                        {"two of two", 12, 0, cell(2, {.failed = 2}), cell(0), "pause"},
                        {"one failed its golden test, one fell silent", 12, 0, cell(2, {.golden = 1, .silent = 1}), cell(0), "pause"},
                        {"neither ever came to run it", 12, 2, cell(0), cell(0), "pause"},
                        {"one of two works", 12, 0, cell(2, {.failed = 1}), cell(0), "nothing"},
                        {"one of one, of three", 3, 0, cell(1, {.failed = 1}), cell(2), "pause"},
                        {"one that works, of three", 3, 0, cell(1), cell(2), "nothing"},
                        {"two beside seven each", 12, 0, cell(2, {.failed = 2}), cell(14), "hold"},
                        {"three beside seven each", 12, 0, cell(3, {.failed = 3}), cell(21), "pause"},
                        {"controls fail as well", 12, 0, cell(3, {.failed = 3}), cell(3, {.failed = 2}), "nothing"},
                        {"nobody", 12, 0, cell(0), cell(0), "nothing"}}) {
    CAPTURE(c.name);
    Bench bench(kCompared);
    bench.with(one(c.canaries, c.controls));
    bench.folded.install_failed = c.installs;
    std::vector<GateVerdict> out;
    judge_first({bench.policy, 1, false, bench.latches, bench.folded, bench.facts, c.reach}, out);
    CHECK((out.empty() ? "nothing" : std::string(to_string(out.front().decision))) == c.says);
  }
}

TEST_CASE("a policy without gates is not paused by it") {
  Bench bench(R"({"stages":[{"percent":100}]})");
  bench.with(one(cell(4, {.failed = 4}), cell(0)));
  CHECK(bench.ruling("first", "harm") == "nothing");
}
