#include "tests/simulation/check.hpp"

#include "tests/simulation/inputs.hpp"

#include <fmt/format.h>

namespace fleet::simulation {
namespace {

/// What must hold of an outcome, in words; empty: it holds.
using Must = std::string (*)(Outcome const&);

std::string decided(Outcome const& outcome) { return ending(outcome) == "undecided" ? "it is undecided" : ""; }
std::string completes(Outcome const& outcome) { return outcome.state == rollout::State::completed ? "" : "it did not complete"; }
/// Nothing is taken back without harm. One run in a hundred may be, by design: what is checked so must be far from it.
std::string is_kept(Outcome const& outcome) { return ending(outcome) == "rolled_back" ? "it was taken back without harm" : decided(outcome); }
std::string returns(Outcome const& outcome) {
  if (outcome.state != rollout::State::rolled_back) return "it was not rolled back to the end";
  return outcome.left_behind == 0 ? "" : fmt::format("{} devices were left with it", outcome.left_behind);
}
std::string is_caught_early(Outcome const& outcome) {
  if (auto fault = returns(outcome); !fault.empty()) return fault;
  return outcome.stage == 1 ? "" : fmt::format("it was caught in stage {} only", outcome.stage);
}
std::string never_passes(Outcome const& outcome) {
  if (outcome.state == rollout::State::completed) return "a release that fails nearly everywhere passed";
  return outcome.left_behind == 0 ? decided(outcome) : fmt::format("{} devices were left with it", outcome.left_behind);
}

struct Named {
  std::string_view name, policy;
  int devices;
  std::string_view scenario;
  Must must;
};

constexpr Named kNamed[] = {
    {"all well", "standard", 1'000, R"({"base":0})", completes},
    {"all well, parked polls", "fast", 300, R"({"base":0,"long_poll":true})", completes},
    {"all well, one device", "small-fleet", 1, R"({"base":0,"offline":0})", completes},
    {"a twentieth fails anyhow", "standard", 1'000, R"({"base":0.05})", is_kept},
    {"a third offline", "standard", 1'000, R"({"base":0.01,"offline":0.33})", is_kept},
    {"half of the sites lose their network", "fast", 1'000, R"({"base":0.01,"site_shock":{"share":0.5,"hours":1}})", is_kept},
    {"the server is away", "standard", 1'000, R"({"base":0.01,"server_outage":"20m"})", is_kept},
    {"the server's clock steps", "standard", 1'000, R"({"base":0.01,"clock_step":"1h"})", is_kept},
    {"the server's clock steps back", "standard", 1'000, R"({"base":0.01,"clock_step":"-1h"})", is_kept},
    {"half sleep at night", "cautious", 1'000, R"({"base":0.01,"day_night":0.5})", is_kept},
    {"devices differ, four kinds of hardware", "standard", 2'000, R"({"base":0.01,"noise_spread":1,"hardware":4})", is_kept},
    {"every update fails", "standard", 1'000, R"({"base":0.01,"harm":1})", is_caught_early},
    {"every third update fails", "standard", 1'000, R"({"base":0.01,"harm":0.33})", is_caught_early},
    {"every tenth device bricks", "standard", 1'000, R"({"base":0.01,"kind":"silent","harm":0.1})", is_caught_early},
    {"every device bricks", "cautious", 300, R"({"base":0.01,"kind":"silent","harm":1})", is_caught_early},
    {"every third update fails, a third offline", "fast", 1'000, R"({"base":0.01,"harm":0.33,"offline":0.33})", returns},
    {"every third update fails, sites in shock", "standard", 10'000, R"({"base":0.01,"harm":0.33,"site_shock":{"share":0.5,"hours":3}})", returns},
    {"a tenth fails, no gates, who fails tries again", R"({"stages":[{"percent":10},{"percent":100}],"retry":{"attempts":8,"backoff":"1h"}})", 300, R"({"base":0.1})", completes},
    {"every third update fails, who fails tries again",
     R"({"stages":[{"devices":100,"window":25,"every":"2h"},{"percent":100}],"gates":{"failures":{},"silent":{}},"retry":{"attempts":5,"backoff":"10m"}})", 1'000,
     R"({"base":0.01,"harm":0.33})", returns},
    {"nearly every update fails of twelve", "small-fleet", 12, R"({"base":0.01,"harm":0.95})", never_passes},
};

bool is_text(std::string_view policy) { return policy.starts_with('{'); }

Result<Study> study_of(Named const& named, std::uint64_t seed, int runs) {
  Study study;
  FLEET_TRY(study.policy, is_text(named.policy) ? rollout::decode_policy(named.policy) : read_policy(std::string(named.policy)));
  FLEET_TRY(study.scenario, decode_scenario(named.scenario));
  study.devices = named.devices;
  study.runs = runs;
  study.seed = seed;
  return study;
}

Result<int> check_one(Named const& named, std::uint64_t seed, int runs, int jobs) {
  FLEET_TRY(auto const study, study_of(named, seed, runs));
  FLEET_TRY(auto const outcomes, run_all(study, jobs));
  int wrong = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    auto const& one = outcomes[i];
    auto const fault = named.must(one);
    wrong += !fault.empty();
    fmt::print("{}seed {}  {:<42} {:<11} {:<5} stage {}  {:>6} exposed  {:>3} harmed  {:>6.1f} h  {}{}\n", fault.empty() ? "" : "FALSE ", study.seed + i, named.name, is_text(named.policy) ? "own" : named.policy,
               named.devices, one.stage, one.exposed, one.harmed, static_cast<double>(one.took.count()) / 3.6e6, ending(one), fault.empty() ? "" : ": " + fault + "; " + one.reason);
  }
  return wrong;
}

}  // namespace

int check(std::uint64_t seed, int runs, int jobs) {
  int wrong = 0, all = 0;
  for (auto const& named : kNamed) {
    auto const found = check_one(named, seed, runs, jobs);
    if (!found) tell(found.error());
    wrong += found ? *found : 1;
    all += runs;
  }
  fmt::print("{} of {} runs as they must be (first seed {})\n", all - wrong, all, seed);
  return wrong;
}

}  // namespace fleet::simulation
