#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "tests/simulation/check.hpp"
#include "tests/simulation/inputs.hpp"
#include "tests/simulation/plot.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

using namespace fleet;
using namespace fleet::simulation;

namespace {

constexpr int kProgramDevicesMax = 2'000'000, kProgramRunsMax = 1'000'000;

struct Options {
  std::string policy = "standard", scenario, plot, format = "table";
  std::uint64_t seed = 1;
  int devices = 1'000, runs = 20, jobs = default_jobs();
  bool check = false;
};

void show_table(Study const& study, std::vector<Outcome> const& outcomes) {
  fmt::print("{:>8}  {:<11} {:>5} {:>8} {:>7} {:>8} {:>7}  {}\n", "SEED", "OUTCOME", "STAGE", "EXPOSED", "HARMED", "CANARIES", "HOURS", "REASON");
  std::map<std::string_view, int> endings;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    auto const& one = outcomes[i];
    ++endings[ending(one)];
    fmt::print("{:>8}  {:<11} {:>5} {:>8} {:>7} {:>8} {:>7.1f}  {}\n", study.seed + i, ending(one), one.stage, one.exposed, one.harmed, one.canaries,
               static_cast<double>(one.took.count()) / 3.6e6, one.reason);
  }
  std::string sum;
  for (auto const word : {"completed", "rolled_back", "paused", "undecided"}) sum += fmt::format("{}{} {}", sum.empty() ? "" : ", ", endings[word], word);
  fmt::print("{} of {} devices: {}; the release is {}\n", outcomes.size() == 1 ? "1 run" : fmt::format("{} runs", outcomes.size()), study.devices, sum,
             study.scenario.harmful() ? "harmful" : "sound");
}

Result<int> run(Options const& options) {
  Study study;
  FLEET_TRY(study.policy, read_policy(options.policy));
  FLEET_TRY(study.scenario, read_scenario(options.scenario));
  study.devices = options.devices;
  study.runs = options.runs;
  study.seed = options.seed;
  FLEET_TRY(auto const outcomes, run_all(study, options.jobs));
  if (!options.plot.empty()) {
    auto const title = fmt::format("{} over {} devices, seed {}: {}", options.policy, options.devices, options.seed, ending(outcomes.front()));
    FLEET_CHECK(system_fs().replace(options.plot, draw_plot(outcomes.front(), title)));
  }
  if (options.format == "json") fmt::print("{}\n", to_json(study, outcomes));
  else show_table(study, outcomes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("A rollout's policy against virtual fleets, by the engine that the server runs. The same seed gives the same bytes.");
  app.add_option("--policy", options.policy, "cautious, standard, fast, small-fleet, or a file of JSON or YAML")->capture_default_str();
  app.add_option("--scenario", options.scenario, "what fleet and release are like, a file of JSON or YAML (docs/statistics.md); else all is well");
  app.add_option("--devices", options.devices, "devices of the fleet")->check(CLI::Range(1, kProgramDevicesMax))->capture_default_str();
  auto* const runs = app.add_option("--runs", options.runs, "each with the next seed")->check(CLI::Range(1, kProgramRunsMax))->capture_default_str();
  auto* const seed = app.add_option("--seed", options.seed, "of the first run")->capture_default_str();
  app.add_option("--jobs", options.jobs, "threads; they change no result")->check(CLI::Range(1, 1'024))->capture_default_str();
  app.add_option("-o,--output", options.format, "table or json")->check(CLI::IsMember({"table", "json"}))->capture_default_str();
  app.add_option("--plot", options.plot, "writes the first run's exposure and evidence over time, as SVG");
  app.add_flag("--check", options.check, "runs named scenarios and checks what must hold of each; draws a seed where none is given");
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.check) {
    if (seed->count() == 0) options.seed = system_random().next() >> 24;
    return check(options.seed, runs->count() == 0 ? 3 : options.runs, options.jobs) == 0 ? 0 : 1;
  }
  auto const code = run(options);
  if (code) return *code;
  tell(code.error());
  return code.error().kind == Kind::internal ? 1 : 2;
}
