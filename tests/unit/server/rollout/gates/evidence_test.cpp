#include "server/rollout/gates/evidence.hpp"

#include "core/stats/odds_ratio.hpp"
#include "tests/unit/server/rollout/gates/windows.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

Policy policy_of(std::string const& failures = "{}") { return *decode_policy(R"({"stages":[{"percent":100}],"gates":{"failures":)" + failures + "}}"); }

std::size_t at(Folded const& folded, double odds) {
  auto const found = std::find(folded.odds.begin(), folded.odds.end(), odds);
  REQUIRE(found != folded.odds.end());
  return static_cast<std::size_t>(found - folded.odds.begin());
}

double sum_of(Folded const& folded, What what, Sums Compared::*sums, double odds, std::string const& stratum = "a") {
  auto const& all = folded.strata.at(stratum)[static_cast<std::size_t>(what)].*sums;
  return all.empty() ? 0 : all.at(at(folded, odds));
}

Folded folded_of(std::vector<WindowCounts> const& windows, std::string const& failures = "{}") {
  auto out = fold_nothing(policy_of(failures));
  for (auto const& window : windows) fold(out, window);
  return out;
}

}  // namespace

TEST_CASE("sums are kept at the policy's odds ratios, at those of promotion and at half as much again, each once") {
  auto const folded = folded_of({}, R"({"max_odds_ratio":[5,3,1.4],"alternatives":[2,5,50]})");
  CHECK(folded.alternatives == std::vector<double>{2, 5, 50});
  CHECK(folded.odds == std::vector<double>{.7, 1, 1.4, 1.5, 2, 3, 5, 50});
  CHECK(fold_nothing({}).odds.size() > 5);  // without the gate, too: silence is compared
}

TEST_CASE("a window in which more than 15 % of both arms fail, or 20 % fall silent, is a storm: harm counts, promotion and guardrails do not") {
  struct Case {
    std::string name;
    Cell canary, control;
    bool storm;
  };
  for (auto const& c : {Case{"15 % of both failed", cell(10, {.failed = 3}), cell(90, {.failed = 12}), false},
                        {"16 % of both failed", cell(10, {.failed = 3}), cell(90, {.failed = 13}), true},
                        {"20 % of both silent", cell(10, {.silent = 4}), cell(90, {.silent = 16}), false},
                        {"21 % of both silent", cell(10, {.silent = 4}), cell(90, {.silent = 17}), true},
                        {"all canaries failed, no control did", cell(10, {.failed = 10}), cell(90), false},
                        {"golden tests are no weather", cell(10, {.golden = 10}), cell(20), false},
                        {"nobody is left for control: no storm is known", cell(10, {.failed = 9}), cell(0), false}}) {
    CAPTURE(c.name);
    auto const folded = folded_of({one(c.canary, c.control)});
    CHECK(folded.windows == 1);
    CHECK(folded.storms == c.storm);
    CHECK(folded.canaries == 10);
    auto const& failures = folded.strata.at("a")[0];
    CHECK(failures.first.size() == folded.odds.size());
    CHECK(failures.all.size() == folded.odds.size());
    CHECK(failures.calm.size() == (c.storm ? 0 : folded.odds.size()));
    CHECK(folded.failed.devices == (c.storm ? 0 : 10));
    CHECK(folded.control_silent.devices == (c.storm ? 0 : c.control.started));
    CHECK(folded.golden.devices == 10);  // a golden test is judged in any weather
  }
}

TEST_CASE("a storm is of all strata of the window together") {
  auto window = one(cell(10, {.failed = 4}), cell(10, {.failed = 4}), "a");
  window["b"] = {cell(40), cell(40)};
  CHECK(folded_of({window}).storms == 0);
  CHECK(folded_of({one(cell(10, {.failed = 4}), cell(10, {.failed = 4}))}).storms == 1);
}

TEST_CASE("who left counts as failed for promotion and is left out of harm; controls that left are left out of both") {
  auto const folded = folded_of({one(cell(20, {.failed = 1, .silent = 2, .left = 3}), cell(180, {.failed = 1, .left = 5}))});
  for (double const odds : {1.4, 5., 200.}) {
    CAPTURE(odds);
    CHECK(sum_of(folded, What::failures, &Compared::all, odds) == doctest::Approx(stats::log_likelihood({{1, 17}, {1, 175}}, odds)));
    CHECK(sum_of(folded, What::failures, &Compared::first, odds) == sum_of(folded, What::failures, &Compared::all, odds));
    CHECK(sum_of(folded, What::failures, &Compared::calm, odds) == doctest::Approx(stats::log_likelihood({{4, 20}, {1, 175}}, odds)));
    CHECK(sum_of(folded, What::silence, &Compared::all, odds) == doctest::Approx(stats::log_likelihood({{2, 17}, {0, 175}}, odds)));
    CHECK(sum_of(folded, What::silence, &Compared::calm, odds) == doctest::Approx(stats::log_likelihood({{5, 20}, {0, 175}}, odds)));
  }
  CHECK(folded.left == 3);
  CHECK(folded.control_left == 5);
  CHECK(folded.failed == stats::Tally{1, 17});
  CHECK(folded.control_failed == stats::Tally{1, 175});
}

TEST_CASE("golden tests that failed are out of the odds ratio, and bad for guardrails: a control runs none") {
  auto const folded = folded_of({one(cell(20, {.failed = 2, .golden = 6}), cell(180, {.failed = 3}))});
  CHECK(sum_of(folded, What::failures, &Compared::all, 5) == doctest::Approx(stats::log_likelihood({{2, 14}, {3, 180}}, 5)));
  CHECK(folded.golden == stats::Tally{6, 20});
  CHECK(folded.failed == stats::Tally{8, 20});
}

TEST_CASE("evidence over strata is half of the product over all, half of the mean of each one's own") {
  auto window = one(cell(20, {.failed = 6}), cell(180, {.failed = 2}), "a");
  window["b"] = {cell(10), cell(90, {.failed = 3})};
  auto const folded = folded_of({window, one(cell(20, {.failed = 5}), cell(180), "a")});
  std::vector<double> pooled, own_a, own_b;
  for (double const odds : folded.alternatives) {
    own_a.push_back(stats::log_likelihood({{6, 20}, {2, 180}}, odds) + stats::log_likelihood({{5, 20}, {0, 180}}, odds));
    own_b.push_back(stats::log_likelihood({{0, 10}, {3, 90}}, odds));
    pooled.push_back(own_a.back() + own_b.back());
  }
  auto const e = [&](std::vector<double> const& sums) { return stats::worse_than(folded.alternatives, sums, 1, 0).e_value(); };
  CHECK(worse(folded, What::failures, &Compared::all, 1).e_value() == doctest::Approx(e(pooled) / 2 + (e(own_a) + e(own_b)) / 4));
  CHECK(worse_in(folded, "a", What::failures).e_value() == doctest::Approx(e(own_a)));
  CHECK(worse_in(folded, "b", What::failures).e_value() == doctest::Approx(e(own_b)));
  CHECK(worse_in(folded, "none", What::failures).log_e == 0);
  CHECK(worse(folded_of({}), What::failures, &Compared::all, 1).log_e == 0);
  CHECK(better(folded_of({}), What::silence, 5).log_e == 0);
}

TEST_CASE("harm among the first 1,200 canaries is of the windows that began within them") {
  std::vector<WindowCounts> windows(3, one(cell(500, {.failed = 5}), cell(500)));
  auto folded = folded_of(windows);  // the third began with a thousand before it
  CHECK(sum_of(folded, What::failures, &Compared::first, 5) == doctest::Approx(sum_of(folded, What::failures, &Compared::all, 5)));
  auto const first = sum_of(folded, What::failures, &Compared::first, 5);
  fold(folded, windows[0]);
  CHECK(sum_of(folded, What::failures, &Compared::first, 5) == first);
  CHECK(sum_of(folded, What::failures, &Compared::all, 5) > first);
}

TEST_CASE("without a stratum everything is as if it had never been there, but for the number of strata and of windows") {
  WindowCounts const whole{{"a", {cell(40, {.failed = 2}), cell(360, {.silent = 3})}}, {"b", {cell(20, {.failed = 9, .left = 1}), cell(180)}}};
  auto const policy = *decode_policy(kCompared);
  auto both = fold_nothing(policy), alone = both;
  for (int i = 0; i < 3; ++i) {
    fold(both, whole);
    fold(alone, one(whole.at("a")[0], whole.at("a")[1]));
  }
  CHECK(both.parts == 2);
  auto const left = without(both, "b");
  CHECK(left.parts == 2);
  CHECK(static_cast<Tallies const&>(left) == static_cast<Tallies const&>(alone));
  CHECK(left.strata == alone.strata);
  CHECK(left.by_stratum == alone.by_stratum);
  CHECK(without(both, "none") == both);
}

TEST_CASE("the order of windows does not matter while they are among the first") {
  std::vector<WindowCounts> windows;
  for (int i = 0; i < 6; ++i) windows.push_back(one(cell(10 + i, {.failed = i % 3}), cell(90, {.failed = i % 2}), i % 2 == 0 ? "a" : "b"));
  auto const there = folded_of(windows);
  std::reverse(windows.begin(), windows.end());
  auto const back = folded_of(windows);
  CHECK(there.failed == back.failed);
  for (auto const& stratum : {"a", "b"}) CHECK(worse_in(there, stratum, What::failures).log_e == doctest::Approx(worse_in(back, stratum, What::failures).log_e));
}

TEST_CASE("who accepts what is known begins anew, at the same odds ratios") {
  auto folded = folded_of({one(cell(20, {.failed = 6}), cell(180))}, R"({"max_odds_ratio":[7]})");
  auto const odds = folded.odds;
  forget(folded);
  CHECK(folded.odds == odds);
  CHECK(folded == folded_of({}, R"({"max_odds_ratio":[7]})"));
}

TEST_CASE("arms have names that are read back, and an unknown word is a canary") {
  for (auto const arm : {Arm::canary, Arm::control, Arm::holdback}) CHECK(parse_arm(to_string(arm)) == arm);
  CHECK(parse_arm("somebody") == Arm::canary);
}
