#include "server/rollout/gates/compared.hpp"

#include "tests/unit/server/rollout/gates/windows.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

TEST_CASE("failures beside control: what one window leads to") {
  struct Case {
    std::string name;
    WindowCounts window;
    std::string harm, safe;
    std::string words;
  };
  for (auto const& c : {
           Case{"forty healthy beside 360", one(cell(40), cell(360)), "hold", "hold", "0 of 40 canaries failed, 0 of 360 controls did"},
           {"hundred healthy certify a share, where neither arm fails", one(cell(100), cell(900)), "hold", "promote", ""},
           {"both arms fail alike: not five times as often", one(cell(40, {.failed = 4}), cell(360, {.failed = 36})), "hold", "promote", ""},
           {"a few of both fail alike: too few to say", one(cell(10, {.failed = 1}), cell(90, {.failed = 9})), "hold", "hold", ""},
           {"many canaries as good as many bad controls: an odds ratio", one(cell(200, {.failed = 10}), cell(1800, {.failed = 90})), "hold", "promote", ""},
           {"eight of forty against none", one(cell(40, {.failed = 8}), cell(360)), "rollback", "hold", "8 of 40 canaries failed, 0 of 360 controls did"},
           {"three of four against none", one(cell(4, {.failed = 3}), cell(36)), "rollback", "hold", ""},
           {"one of forty against none is chance", one(cell(40, {.failed = 1}), cell(360)), "hold", "hold", ""},
           {"a storm in which canaries fail worse is harm all the same", one(cell(40, {.failed = 30}), cell(360, {.failed = 72})), "rollback", "hold", ""},
           {"a storm that hits both is no evidence of anything", one(cell(200, {.failed = 40}), cell(1800, {.failed = 360})), "hold", "hold", ""},
           {"silence is another gate", one(cell(40, {.silent = 8}), cell(360)), "hold", "hold", ""},
           {"golden tests are another gate", one(cell(40, {.golden = 8}), cell(360)), "hold", "hold", ""},
           {"who was taken away speaks against promotion, not for harm", one(cell(100, {.left = 10}), cell(900)), "hold", "hold", ""},
       }) {
    CAPTURE(c.name);
    Bench bench(kCompared);
    bench.with(c.window);
    CHECK(bench.ruling("failures", "harm") == c.harm);
    CHECK(bench.ruling("failures", "safe") == c.safe);
    CHECK_MESSAGE(bench.said("failures", "harm").text.find(c.words) != std::string::npos, bench.said("failures", "harm").text);
  }
}

TEST_CASE("silence beside control, and by a share of devices where there is none") {
  struct Case {
    std::string name;
    WindowCounts window;
    std::string harm;
    std::string words;
  };
  for (auto const& c : {Case{"eight of forty against none", one(cell(40, {.silent = 8}), cell(360)), "rollback", "8 of 40 canaries fell silent, 0 of 360 controls did"},
                        {"an outage makes both silent", one(cell(40, {.silent = 7}), cell(360, {.silent = 60})), "hold", ""},
                        {"no control: twelve of forty", one(cell(40, {.silent = 12}), cell(0)), "rollback", "12 of 40 devices fell silent; more than the 5 % that are allowed"},
                        {"no control: two of forty", one(cell(40, {.silent = 2}), cell(0)), "hold", ""},
                        {"failures are another gate", one(cell(40, {.failed = 8}), cell(0)), "hold", ""}}) {
    CAPTURE(c.name);
    Bench bench(kCompared);
    bench.with(c.window);
    CHECK(bench.ruling("silent", "harm") == c.harm);
    CHECK_MESSAGE(bench.said("silent", "harm").text.find(c.words) != std::string::npos, bench.said("silent", "harm").text);
  }
}

TEST_CASE("a stage is safe by an odds ratio or by a certified share, whichever is shown first; it asks for neither where the policy names none") {
  struct Case {
    std::string name;
    char const* asks;
    WindowCounts window;
    std::string safe;
    std::string words;
  };
  auto const few_bad = one(cell(300, {.failed = 3}), cell(2700, {.failed = 27})), many_bad = one(cell(300, {.failed = 30}), cell(2700, {.failed = 270}));
  for (auto const& c : {Case{"neither", R"("failures":{},"silent":{})", few_bad, "nothing", ""},
                        {"an odds ratio alone", R"("failures":{"max_odds_ratio":[5]},"silent":{})", many_bad, "promote", "less than 5 times as often as controls"},
                        {"a share alone", R"("failures":{},"certify":{"devices_max":["5%"]})", few_bad, "promote", "fewer than 5 % of the devices"},
                        {"a share alone, with too many bad", R"("failures":{},"certify":{"devices_max":["5%"]})", many_bad, "hold", ""},
                        {"both, and the odds ratio shows it", R"("failures":{"max_odds_ratio":[5]},"certify":{"devices_max":["5%"]})", many_bad, "promote", "less than 5 times"},
                        {"both, and the share shows it", R"("failures":{"max_odds_ratio":[1.5]},"certify":{"devices_max":["5%"]})", few_bad, "promote", "fewer than 5 %"},
                        {"an odds ratio needs controls", R"("failures":{"max_odds_ratio":[5]})", one(cell(300), cell(0)), "nothing", ""},
                        {"both, without controls", R"("failures":{"max_odds_ratio":[5]},"certify":{"devices_max":["5%"]})", one(cell(300), cell(0)), "promote", "fewer than 5 %"}}) {
    CAPTURE(c.name);
    Bench bench(std::string(R"({"stages":[{"percent":100}],"gates":{)") + c.asks + "}}");
    bench.with(c.window);
    CHECK(bench.ruling("failures", "safe") == c.safe);
    CHECK_MESSAGE(bench.said("failures", "safe").text.find(c.words) != std::string::npos, bench.said("failures", "safe").text);
  }
}

TEST_CASE("silence asks for evidence to promote as failures do, and a stage's own bound is the one that counts") {
  Bench bench(R"({"stages":[{"percent":1},{"percent":10},{"percent":100}],"gates":{"failures":{},"silent":{},"certify":{"devices_max":["40%","1%"]}}})");
  bench.with(one(cell(40), cell(360)));
  CHECK(bench.ruling("silent", "safe") == "promote");
  CHECK(bench.ruling("failures", "safe") == "promote");
  for (int const stage : {2, 3}) {
    bench.stage = stage;
    CHECK(bench.ruling("silent", "safe") == "hold");
    CHECK(bench.ruling("failures", "safe") == "hold");
  }
}

TEST_CASE("promote --full and an empty risk ask for no evidence; harm stays armed") {
  Bench bench(kCompared);
  bench.with(one(cell(40, {.failed = 8}), cell(360)));
  bench.full = true;
  CHECK(bench.ruling("failures", "safe") == "nothing");
  CHECK(bench.ruling("failures", "harm") == "rollback");
}

TEST_CASE("harm is latched: what comes later does not undo it; accepted it holds until more are bad; on_harm pauses where it says so") {
  Bench bench(kCompared);
  bench.with(one(cell(40, {.failed = 8}), cell(360)));
  auto const bad = static_cast<std::int64_t>(bench.said("failures", "harm").evidence.front().second);
  CHECK(bad == 8);
  bench.latches["failures"] = {bad, 5'000, false};
  for (int i = 0; i < 30; ++i) bench.with(one(cell(40), cell(360, {.failed = 40})));  // controls fail now, canaries do not
  CHECK(bench.said("failures", "harm").e_value < bench.said("failures", "harm").threshold);
  CHECK(bench.ruling("failures", "harm") == "rollback");
  CHECK(bench.said("failures", "harm").text.find("with 8 it was too many, and that stands") != std::string::npos);
  bench.latches["failures"].accepted = true;
  CHECK(bench.ruling("failures", "harm") == "hold");
  CHECK(bench.said("failures", "harm").text.find("a person accepted 8") != std::string::npos);

  Bench again(kCompared);
  again.with(one(cell(40, {.failed = 8}), cell(360)));
  again.latches["failures"] = {8, 5'000, true};
  CHECK(again.ruling("failures", "harm") == "hold");
  again.with(one(cell(40, {.failed = 1}), cell(360)));
  CHECK(again.ruling("failures", "harm") == "rollback");
  again.policy.on_harm = OnHarm::pause;
  CHECK(again.ruling("failures", "harm") == "pause");
}

TEST_CASE("a little harm rolls nothing back, however many canaries there are; more than a little does") {
  auto const harm = [](std::int64_t failed_of_ten_thousand) {
    Bench bench(kCompared);
    bench.with(one(cell(1'200, {.failed = 12}), cell(9'000, {.failed = 90})));
    for (int i = 0; i < 10; ++i) bench.with(one(cell(10'000, {.failed = failed_of_ten_thousand}), cell(9'000, {.failed = 90})));
    return bench.ruling("failures", "harm");
  };
  CHECK(harm(100) == "hold");
  CHECK(harm(130) == "hold");  // 1.3 %, and 1 % before
  CHECK(harm(200) == "rollback");
}

TEST_CASE("one stratum is ill alone where its canaries are worse than the others', and without it there is no sign of harm; where all are, none is") {
  struct Case {
    std::string name;
    std::array<std::int64_t, 4> failed;
    std::string ill;
  };
  for (auto const& c : {Case{"nobody fails", {0, 0, 0, 0}, "none"},
                        {"as many as beside them", {1, 0, 1, 1}, "none"},
                        {"one of four fails", {0, 8, 0, 1}, "b"},
                        {"a little", {0, 2, 0, 0}, "none"},
                        {"all fail", {8, 8, 8, 8}, "none"},
                        {"two of four fail", {0, 8, 8, 0}, "none"}}) {
    CAPTURE(c.name);
    Bench bench(kCompared);
    WindowCounts window;
    for (std::size_t i = 0; i < 4; ++i) window[std::string(1, static_cast<char>('a' + i))] = {cell(20, {.failed = c.failed[i]}), cell(180, {.failed = 2})};
    bench.with(window);
    CHECK(ill_stratum(bench.policy, bench.folded).value_or("none") == c.ill);
  }
  Bench alone(kCompared);
  alone.with(one(cell(20, {.failed = 15}), cell(180)));
  CHECK_FALSE(ill_stratum(alone.policy, alone.folded).has_value());  // the whole rollout is
}

TEST_CASE("a plan's sentences name what each comparison can see") {
  auto const policy = *decode_policy(kCompared);
  CHECK(plan_failures(policy, 40, 360).starts_with("failures: 40 canaries beside 360 controls see 1 % become "));
  CHECK(plan_failures(policy, 1, 2).find("too few to show harm") != std::string::npos);
  CHECK(plan_failures(policy, 40, 0).empty());
  CHECK(plan_silent(policy, 40, 0).find("more than 5 % silent shows from") != std::string::npos);
  CHECK(plan_silent(policy, 1, 0).find("cannot show that more than 5 % are silent") != std::string::npos);
}
