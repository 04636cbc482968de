#include "server/rollout/gates/mirror.hpp"

#include "core/base/random.hpp"
#include "server/rollout/gates/metrics.hpp"
#include "tests/unit/server/rollout/gates/windows.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

std::string const kTest = R"({"ab":{"against":"m@1"},"gates":{"failures":{"alternatives":[1.5,3,7,49,200,200.0000000001]},"silent":{},
  "absolute":[{"metric":"agent.install_failure","devices_max":"10%"}],"metrics":[{"name":"accuracy","worse":"lower"}]}})";

/// The verdicts of one kind as text, less what they are called.
std::string numbers(std::vector<GateVerdict> const& all, std::string_view test) {
  std::string out;
  for (auto const& one : all)
    if (one.test == test) out += one.name + " " + std::to_string(one.e_value) + " of " + std::to_string(one.threshold) + "; ";
  return out;
}

}  // namespace

TEST_CASE("a test asks the same both ways: with the arms exchanged, harm is what a win was, and a win what harm was") {
  Bench one(kTest), other(kTest);
  SeededRandom random(7);
  for (int i = 0; i < 6; ++i) {
    auto const some = [&] { return static_cast<std::int64_t>(random.uniform() * 8); };
    auto const a = cell(40, {some(), some() / 4, some() / 2, 0}), b = cell(30, {some() / 3, some() / 4, some() / 3, 0});
    auto const stratum = i % 2 == 0 ? "a" : "b";
    one.with(rollout::test::one(a, b, stratum));
    other.with(rollout::test::one(b, a, stratum));
    Measured measured, turned;
    measured.metrics.resize(1);
    auto& arms = measured.metrics[0][stratum];
    for (int d = 0; d < 40; ++d) arms.canary.push_back({.9 + .1 * random.uniform()});
    for (int d = 0; d < 30; ++d) arms.control.push_back({.85 + .1 * random.uniform()});
    turned.metrics = {{{stratum, {arms.control, arms.canary}}}};
    fold_measured(one.folded, one.policy, rollout::test::one(a, b, stratum), measured);
    fold_measured(other.folded, other.policy, rollout::test::one(b, a, stratum), turned);
  }
  one.facts.install_failed = other.facts.beside_install_failed = 5;
  auto const harm = numbers(one.judged(), "harm"), win = numbers(one.judged(), "win");
  CHECK(harm.find("failures ") != std::string::npos);
  CHECK(harm.find("metrics accuracy") != std::string::npos);
  CHECK(harm == numbers(other.judged(), "win"));
  CHECK(win == numbers(other.judged(), "harm"));
  CHECK(harm != win);
}

TEST_CASE("each question of a test has half of its gate's error") {
  Bench test(kTest), stages(kCompared);
  auto const window = one(cell(100, {3}), cell(100, {3}));
  test.with(window);
  stages.with(window);
  CHECK(test.said("failures", "harm").threshold == doctest::Approx(2 * stages.said("failures", "harm").threshold));
  CHECK(test.said("failures", "win").threshold == test.said("failures", "harm").threshold);
}

TEST_CASE("a release that fails beside the other one is harm, and the other way round a win; its words name both") {
  Bench worse(kTest), better(kTest);
  worse.with(one(cell(60, {30}), cell(60, {1})));
  better.with(one(cell(60, {1}), cell(60, {30})));
  CHECK(worse.ruling("failures", "harm") == "rollback");
  CHECK(worse.ruling("failures", "win") == "hold");
  CHECK(better.ruling("failures", "harm") == "hold");
  CHECK(better.ruling("failures", "win") == "promote");
  auto const said = better.said("failures", "win").text;
  CHECK_MESSAGE(said.find("30 of 60 devices on m@1 failed, 1 of 60 devices on ") != std::string::npos, said);
  CHECK_MESSAGE(said.find("canar") == std::string::npos, said);
}

TEST_CASE("beside stages nothing is asked the other way round, and the sums are those of before") {
  Bench bench(kCompared);
  bench.with(one(cell(60, {1}), cell(60, {30})));
  for (auto const& verdict : bench.judged()) CHECK(verdict.test != "win");
  CHECK(bench.folded.metrics_against.empty());
  CHECK(bench.folded.odds.front() == .7);
}
