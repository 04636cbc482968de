#include "server/simulation/study.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

using namespace fleet;
using namespace fleet::simulation;

namespace {

rollout::Policy policy_of(std::string_view text) {
  auto policy = rollout::decode_policy(text);
  REQUIRE(policy.has_value());
  return *policy;
}

Scenario scenario_of(std::string_view text) {
  auto scenario = decode_scenario(text);
  REQUIRE(scenario.has_value());
  return *scenario;
}

Study study_of(std::string_view policy, std::string_view scenario, int devices, int runs, std::uint64_t seed = 1) {
  Study study;
  study.policy = policy_of(policy);
  study.scenario = scenario_of(scenario);
  study.devices = devices;
  study.runs = runs;
  study.seed = seed;
  return study;
}

}  // namespace

TEST_CASE("a study replays to the last byte from its seed, and another seed is another fleet") {
  constexpr std::string_view kScenario = R"({"base":0.02,"harm":0.05,"noise_spread":0.5,"site_shock":{"share":0.25,"hours":1},"hardware":3,"day_night":0.2})";
  auto study = study_of(R"("standard")", kScenario, 400, 3, 7);
  auto const first = study_json(study);
  auto const again = study_json(study);
  study.seed = 8;
  auto const other = study_json(study);
  REQUIRE((first && again && other));
  CHECK(*first == *again);
  CHECK(*first != *other);
}

TEST_CASE("a run is the same alone and among others") {
  auto const study = study_of(R"("fast")", R"({"harm":0.05})", 300, 4, 20);
  auto const third = run_one(study, 2);
  auto alone = study;
  alone.seed = 22;
  auto const same = run_one(alone, 0);
  REQUIRE((third && same));
  CHECK(to_json(alone, {*third}) == to_json(alone, {*same}));
}

TEST_CASE("harm is what the scenario makes worse than before, whatever the policy lets pass") {
  struct Row {
    std::string_view policy, scenario;
    bool harmful;
    std::string_view summary;
    int count;
  };
  constexpr std::string_view blind = R"({"stages":[{"percent":100}],"gates":{"silent":{"devices_max":"40%"}}})";
  Row const rows[] = {
      {R"("standard")", R"({"base":0})", false, "false_rollbacks", 0},
      {R"("standard")", R"({"base":0})", false, "completed", 3},
      {R"("standard")", R"({"base":0.01,"harm":0.5})", true, "rolled_back", 3},
      {R"("standard")", R"({"base":0.01,"harm":0.8,"kind":"silent"})", true, "rolled_back", 3},
      {blind, R"({"base":0.01,"harm":0.5})", true, "missed_harm", 3},
  };
  for (auto const& row : rows) {
    auto const told = study_json(study_of(row.policy, row.scenario, 300, 3));
    REQUIRE(told.has_value());
    auto const json = boost::json::parse(*told);
    CAPTURE(*told);
    CHECK(json.at("harmful").as_bool() == row.harmful);
    CHECK(json.at("summary").at(row.summary).to_number<int>() == row.count);
    CHECK(json.at("summary").at("left_behind").to_number<int>() == 0);
    CHECK(json.at("runs").as_array().size() == 3);
  }
}

TEST_CASE("work beyond a bound is refused, not done") {
  auto study = study_of(R"("standard")", "{}", 1'000, 2);
  study.effort_max = 1'000;
  auto const refused = study_json(study);
  REQUIRE(!refused);
  CHECK(refused.error().kind == Kind::unprocessable);
  CHECK(refused.error().code == "too_much_to_simulate");
  // Devices polling every second for 30 days of probation, and a stage of a thousand windows.
  auto const heavy = study_of(R"({"stages":[{"percent":100,"window":1}],"gates":{"failures":{}}})", R"({"poll":"1s","probation":"30d"})", 2'000, 1);
  auto bounded = heavy;
  bounded.effort_max = 20'000;
  CHECK(!study_json(bounded));
}

TEST_CASE("limits of a policy hold in a simulation, too") {
  auto const scenario = scenario_of(R"({"base":0})");
  auto policy = policy_of(R"({"stages":[{"percent":5},{"percent":100}],"gates":{"silent":{}}})");
  auto const free = VirtualFleet(scenario, policy, 400, 3).run();
  policy.in_flight = 10;
  auto const few = VirtualFleet(scenario, policy, 400, 3).run();
  policy.in_flight = 0;
  policy.egress = 100 * 1024;  // of 10 MiB: a device in 102 s
  auto const slow = VirtualFleet(scenario, policy, 400, 3).run();
  REQUIRE((free.has_value() && few.has_value() && slow.has_value()));
  CHECK(few->state == rollout::State::completed);
  CHECK(few->took > free->took);
  CHECK(slow->took > std::chrono::hours(8));
  // Who waits in a long poll asks each five seconds, all at one moment: the line is not idle between.
  auto waiting = scenario_of(R"({"base":0,"offline":0,"long_poll":true,"probation":"1m"})");
  auto at_once = policy_of(R"({"stages":[{"percent":100}]})");
  at_once.egress = 10 * 1024 * 1024;  // a device in a second, 2,000 in 33 minutes
  auto const paced = VirtualFleet(waiting, at_once, 2'000, 3).run();
  REQUIRE(paced.has_value());
  CHECK(paced->state == rollout::State::completed);
  CHECK(paced->took > std::chrono::minutes(33));
  CHECK(paced->took < std::chrono::minutes(33 * 6 / 5 + 10));  // with fetching, the probation and the judge's round
}

TEST_CASE("devices that failed try again where the policy says so: a stage without gates passes when all run it, and evidence stays what it was") {
  auto const scenario = scenario_of(R"({"base":0.2,"offline":0})");
  auto policy = policy_of(R"({"stages":[{"percent":10},{"percent":100}]})");
  auto const once = VirtualFleet(scenario, policy, 200, 3).run();
  policy.retry = rollout::RetryRule{.attempts = 20, .backoff = std::chrono::hours(1), .backoff_max = std::chrono::hours(4)};
  auto const again = VirtualFleet(scenario, policy, 200, 3).run();
  REQUIRE((once.has_value() && again.has_value()));
  CHECK(once->state == rollout::State::running);
  CHECK(again->state == rollout::State::completed);
  CHECK(again->exposed == 200);
  CHECK(again->moments.back().failed > 10);  // counted as failed for good
  CHECK(again->took > std::chrono::hours(2));
  // What a release that fails in every third does at first is what its gates see.
  auto const harmful = scenario_of(R"({"base":0.01,"harm":0.33})");
  auto gated = policy_of(R"({"stages":[{"devices":100,"window":25,"every":"2h"},{"percent":100}],"gates":{"failures":{},"silent":{}}})");
  auto const seen = VirtualFleet(harmful, gated, 1'000, 5).run();
  gated.retry = rollout::RetryRule{.attempts = 20, .backoff = std::chrono::minutes(1), .backoff_max = std::chrono::minutes(1)};
  auto const hidden = VirtualFleet(harmful, gated, 1'000, 5).run();
  REQUIRE((seen.has_value() && hidden.has_value()));
  CHECK(seen->state == rollout::State::rolled_back);
  CHECK(hidden->state == rollout::State::rolled_back);
  CHECK(hidden->canaries == seen->canaries);
  CHECK(hidden->left_behind == 0);
}

TEST_CASE("a stage that adds nobody is passed, and whoever is dead holds up no return") {
  auto const one = VirtualFleet(scenario_of(R"({"base":0,"offline":0})"), policy_of(R"("small-fleet")"), 1, 1).run();
  REQUIRE(one.has_value());
  CHECK(one->state == rollout::State::completed);
  auto const bricks = VirtualFleet(scenario_of(R"({"base":0,"harm":1,"kind":"silent"})"), policy_of(R"("cautious")"), 300, 1).run();
  REQUIRE(bricks.has_value());
  CHECK(bricks->state == rollout::State::rolled_back);
  CHECK(bricks->left_behind == 0);
}

TEST_CASE("what devices measure is judged: against a bound of their own, and beside controls") {
  struct Row {
    std::string_view gates, scenario;
    rollout::State state;
    std::string_view gate;
  };
  constexpr std::string_view kBound = R"({"stages":[{"devices":40,"window":10,"every":"2h","cap":"100%"},{"percent":100}],"gates":{"failures":{},"absolute":[{"metric":"accuracy","min":0.9}]},"control":{"per_canary":4}})";
  constexpr std::string_view kBeside = R"({"stages":[{"devices":100,"window":25,"every":"2h"},{"percent":100}],"gates":{"metrics":[{"name":"latency_ms"}]},"control":{"per_canary":4}})";
  constexpr std::string_view kOther = R"({"stages":[{"devices":100,"deadline":"2d"},{"percent":100}],"gates":{"metrics":[{"name":"power_w"}]},"control":{"per_canary":4}})";
  Row const rows[] = {
      {kBound, R"({"base":0,"metric":{"name":"accuracy","mean":0.95,"between":0.02,"samples_per_hour":200}})", rollout::State::completed, ""},
      {kBound, R"({"base":0,"kind":"metric","metric":{"name":"accuracy","mean":0.95,"shift":-0.15,"samples_per_hour":200}})", rollout::State::rolled_back, "accuracy"},
      {kBound, R"({"base":0,"metric":{"name":"accuracy","mean":0.8,"samples_per_hour":200}})", rollout::State::paused, "accuracy"},  // so have controls
      {kBeside, R"({"base":0,"metric":{"name":"latency_ms","mean":100,"between":10,"within":20}})", rollout::State::completed, ""},
      {kBeside, R"({"base":0,"kind":"metric","metric":{"name":"latency_ms","mean":100,"between":10,"within":20,"shift":10}})", rollout::State::rolled_back, "metrics latency_ms"},
      {kOther, R"({"base":0,"metric":{"name":"latency_ms","mean":100}})", rollout::State::paused, ""},  // nobody sends it
  };
  for (auto const& row : rows) {
    auto const outcome = VirtualFleet(scenario_of(row.scenario), policy_of(row.gates), 400, 5).run();
    REQUIRE(outcome.has_value());
    CAPTURE(row.scenario);
    CAPTURE(outcome->reason);
    CHECK(to_string(outcome->state) == to_string(row.state));
    CHECK(outcome->gate == row.gate);
    CHECK(outcome->left_behind == 0);
  }
}

TEST_CASE("one device a site at one time: fifty sites of twenty complete, in turns of a probation each, with a tenth offline and dead ones among them") {
  auto study = study_of(R"({"stages":[{"devices":50,"window":50},{"percent":100}],"gates":{"failures":{},"silent":{}},"limits":{"per":"site"}})",
                        R"({"base":0.01,"offline":0.1,"sites":50,"long_poll":true})", 1'000, 1);
  auto const limited = *run_one(study, 0);
  CHECK_MESSAGE(limited.state == rollout::State::completed, limited.reason);
  CHECK(limited.exposed >= 850);
  CHECK(limited.took >= 15 * study.scenario.probation);
  study.policy.per_place.reset();
  auto const free = *run_one(study, 0);
  CHECK(free.state == rollout::State::completed);
  CHECK(free.took <= limited.took);
  study.policy.per_place = rollout::PlaceLimit{"site", 1};
  study.scenario = scenario_of(R"({"kind":"silent","harm":0.3,"base":0.01,"sites":50})");
  auto const bricked = *run_one(study, 0);
  CHECK_MESSAGE(bricked.state == rollout::State::rolled_back, bricked.reason);
}

TEST_CASE("a test of two releases names the better one, whichever it is, and none of two that are alike") {
  constexpr std::string_view kTest = R"({"ab":{"against":"m@1","bake":"1h"},"gates":{"failures":{},"silent":{},"metrics":[{"name":"latency_ms"}]}})";
  auto const shifted = [](int shift) {
    return R"({"base":0.02,"kind":"metric","metric":{"name":"latency_ms","mean":50,"between":5,"within":5,"shift":)" + std::to_string(shift) + "}}";
  };
  struct Row {
    std::string scenario;
    std::string_view winner, ending;
  };
  for (auto const& row : {Row{shifted(0), "none", "completed"}, Row{shifted(5), "B", "rolled_back"}, Row{shifted(-5), "A", "completed"},
                          Row{R"({"base":0.01,"harm":0.3})", "B", "rolled_back"}, Row{R"({"base":0.01,"against":0.3})", "A", "completed"}}) {
    CAPTURE(row.scenario);
    for (int run = 0; run < 4; ++run) {
      auto const outcome = run_one(study_of(row.scenario.find("metric") != std::string::npos ? kTest : R"({"ab":{"against":"m@1"},"gates":{"failures":{}}})", row.scenario, 300, 4, 90), run);
      REQUIRE(outcome.has_value());
      CHECK_MESSAGE(outcome->winner == row.winner, outcome->reason);
      CHECK(ending(*outcome) == row.ending);
      CHECK(outcome->left_behind == 0);
    }
  }
}
