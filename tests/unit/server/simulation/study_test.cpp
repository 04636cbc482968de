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
constexpr std::string_view kPolicy = R"({"stages":[{"percent":5,"bake":"10m","deadline":"12h"},{"percent":100}],
  "gates":{"silent":{"devices_max":"15%"},"absolute":[{"metric":"agent.install_failure","devices_max":"2%"},{"metric":"accuracy","min":0.9,"samples":20,"devices_max":"3%"}]}})";

}  // namespace

TEST_CASE("a study replays to the last byte from its seed, and another seed is another fleet") {
  Study study{policy_of(kPolicy), {.bad = .01}, 200, 3, 7};
  auto const first = study_json(study);
  auto const again = study_json(study);
  study.seed = 8;
  auto const other = study_json(study);
  REQUIRE((first && again && other));
  CHECK(*first == *again);
  CHECK(*first != *other);
}

TEST_CASE("a study tells harm missed and false rollbacks by what the policy allows") {
  struct Row {
    std::string_view policy;
    Scenario scenario;
    bool harmful;
    std::string_view gate, summary;
    int count;
  };
  constexpr std::string_view blind = R"({"stages":[{"percent":100}],"gates":{"silent":{"devices_max":"40%"}}})";
  Row const rows[] = {
      {kPolicy, {.bad = 0}, false, "agent.install_failure", "false_rollbacks", 0},
      {kPolicy, {.bad = 0}, false, "agent.install_failure", "completed", 3},
      {kPolicy, {.bad = .5}, true, "agent.install_failure", "taken_back", 3},
      {kPolicy, {.kind = BadKind::silent, .bad = .8}, true, "silent", "taken_back", 3},
      {kPolicy, {.kind = BadKind::metric, .bad = .5}, true, "accuracy", "taken_back", 3},
      {blind, {.kind = BadKind::metric, .bad = .5}, true, "", "missed_harm", 3},
  };
  for (auto const& row : rows) {
    auto const told = study_json({policy_of(row.policy), row.scenario, 300, 3, 1});
    REQUIRE(told.has_value());
    auto const json = boost::json::parse(*told);
    CAPTURE(*told);
    CHECK(json.at("harmful").as_bool() == row.harmful);
    CHECK((json.at("gate").is_null() ? "" : json.at("gate").as_string()) == row.gate);
    CHECK(json.at("summary").at(row.summary).to_number<int>() == row.count);
  }
}

TEST_CASE("limits of a policy hold in a simulation, too") {
  auto policy = policy_of(kPolicy);
  auto const free = VirtualFleet({}, policy, 400, 3).run();
  policy.in_flight = 10;
  auto const few = VirtualFleet({}, policy, 400, 3).run();
  policy.in_flight = 0;
  policy.egress = 100 * 1024;  // of 10 MiB: a device in 102 s
  auto const slow = VirtualFleet({}, policy, 400, 3).run();
  REQUIRE((free.has_value() && few.has_value() && slow.has_value()));
  CHECK(few->state == rollout::State::completed);
  CHECK(few->took > free->took + std::chrono::hours(1));
  CHECK(slow->took > std::chrono::hours(11));
}

TEST_CASE("in a great fleet the failures that are told first take nothing back") {
  auto const outcome = VirtualFleet({.noise = .005}, policy_of(kPolicy), 20'000, 1).run();
  REQUIRE(outcome.has_value());
  CHECK(outcome->state == rollout::State::completed);
}
