#include "server/simulation/virtual_fleet.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

using namespace fleet;
using namespace fleet::simulation;

namespace {

constexpr std::string_view kPolicy = R"({"stages":[{"percent":5,"bake":"30m","min_devices":10},{"percent":25,"bake":"2h"},{"percent":100,"bake":"6h"}],
  "gates":{"silent":{"after_reports":3,"devices_max":"15%"},"absolute":[{"metric":"agent.install_failure","devices_max":"2%"},{"metric":"accuracy","min":0.9,"samples":50,"devices_max":"2%"}],
  "certify":{"devices_max":["30%","20%"]}}})";

/// What must hold of an outcome, in words; empty: it holds.
using Check = std::string (*)(Outcome const&);

std::string completes(Outcome const& outcome) { return outcome.state == rollout::State::completed ? "" : "it did not complete"; }
/// Where many devices come and go, a small stage may lack the evidence to promote, and waits for a person.
std::string is_kept(Outcome const& outcome) { return outcome.by_harm || outcome.state == rollout::State::rolled_back ? "it was taken back without harm" : ""; }
std::string is_caught(Outcome const& outcome) {
  if (outcome.state != rollout::State::rolled_back) return "it was not rolled back";
  if (outcome.stage != 1 || outcome.exposed > outcome.stage_one) return "it was not caught in stage 1";
  return outcome.left_behind == 0 ? "" : fmt::format("{} devices were left with it", outcome.left_behind);
}

struct Named {
  Scenario scenario;
  Check check;
};

std::vector<Named> scenarios() {
  return {
      {{.name = "all well"}, completes},
      {{.name = "all well, a third offline", .offline = .33}, is_kept},
      {{.name = "half a percent fails", .bad = .005}, completes},
      {{.name = "half a percent fails anyhow", .noise = .005}, completes},
      {{.name = "every update fails", .bad = 1}, is_caught},
      {{.name = "every third update fails", .bad = .33}, is_caught},
      {{.name = "every device falls silent", .kind = BadKind::silent, .bad = 1}, is_caught},
      {{.name = "every device measures badly", .kind = BadKind::metric, .bad = 1}, is_caught},
      {{.name = "every fourth measures badly", .kind = BadKind::metric, .bad = .25}, is_caught},
  };
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Virtual fleets against the real planner, membership and judge");
  std::uint64_t seed = system_random().next() >> 16;
  int runs = 5, devices = 1000;
  app.add_option("--seed", seed, "the first seed; each run takes the next");
  app.add_option("--runs", runs, "runs of each scenario")->check(CLI::Range(1, 100'000));
  app.add_option("--devices", devices, "devices of the fleet")->check(CLI::Range(100, 1'000'000));
  CLI11_PARSE(app, argc, argv);
  auto const policy = rollout::decode_policy(kPolicy);
  if (!policy) {
    fmt::print(stderr, "{}\n", policy.error().detail);
    return 2;
  }
  int wrong = 0;
  for (auto const& [scenario, check] : scenarios())
    for (int run = 0; run < runs; ++run) {
      auto const this_seed = seed + static_cast<std::uint64_t>(run);
      auto const outcome = VirtualFleet(scenario, *policy, devices, this_seed).run();
      auto const fault = outcome ? check(*outcome) : outcome.error().detail;
      if (outcome)
        fmt::print("seed {}  {:<28} {:<12} stage {}  {:>5} exposed  {:>6.1f} h  {}\n", this_seed, scenario.name, to_string(outcome->state), outcome->stage,
                   outcome->exposed, static_cast<double>(outcome->took.count()) / 3.6e6, outcome->reason);
      if (fault.empty()) continue;
      ++wrong;
      fmt::print("FALSE seed {}  {}: {}\n", this_seed, scenario.name, fault);
    }
  fmt::print("{} of {} runs as they must be (first seed {})\n", static_cast<int>(scenarios().size()) * runs - wrong,
             static_cast<int>(scenarios().size()) * runs, seed);
  return wrong == 0 ? 0 : 1;
}
