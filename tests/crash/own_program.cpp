#include "tests/crash/own_program.hpp"

#include "agent/commands/boot.hpp"
#include "tests/crash/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::crash {
namespace {

enum class Way { runs, starts_not, falls, hangs, hears_nobody, fails_its_test };
struct Program {
  std::string_view text;
  Way way;
};
constexpr auto kWays = std::to_array<Program>({
    {kOwnSound, Way::runs},
    {kOwnNone, Way::starts_not},
    {kOwnFalls, Way::falls},
    {kOwnHangs, Way::hangs},
    {kOwnDeaf, Way::hears_nobody},
    {kOwnSick, Way::fails_its_test},
});

std::optional<Way> way_of(Disk const& disk, std::string const& program) {
  auto const text = disk.text(program);
  auto const row = std::find_if(kWays.begin(), kWays.end(), [&](auto const& one) { return text && one.text == *text; });
  return row == kWays.end() || !disk.is_executable(program) ? std::nullopt : std::optional(row->way);
}

/// exec(2) does not return: this takes its way out.
struct Became {
  Process process;
  Way way;
};

std::string word_after(std::vector<std::string> const& words, std::string_view option) {
  auto const at = std::find(words.begin(), words.end(), option);
  return at == words.end() || at + 1 == words.end() ? std::string() : *(at + 1);
}

void execute(World& world, std::string const& program, std::vector<std::string> const& words, Millis watchdog) {
  auto const way = way_of(world.disk, program);
  if (!way) world.fault(fmt::format("{} is to be the agent, and is {}", program, world.disk.text(program) ? "not what was published" : "not there"));
  if (!way || *way == Way::starts_not) return;
  Process process{word_after(words, "--slot"), {}, *way == Way::hangs, *way == Way::hears_nobody};
  if (watchdog > Millis{0}) process.ends_at = world.clock.mono() + watchdog;
  throw Became{std::move(process), *way};
}

}  // namespace

std::optional<Process> start_process(World& world, Fs& fs, agent::Layout const& layout) {
  auto const started = [&]() -> std::optional<Process> {
    try {
      auto const exec = [&](std::string const& program, std::vector<std::string> const& words, Millis watchdog) { execute(world, program, words, watchdog); };
      return agent::become_chosen(fs, layout, kPackaged, exec) ? std::optional(Process{}) : std::nullopt;
    } catch (Became const& other) {
      return other.way == Way::falls ? std::nullopt : std::optional(other.process);
    }
  }();
  world.program = started ? started->slot : std::string();
  return started;
}

std::optional<proof::Outcome> run_self_test(World& world, Fs& fs, agent::Layout const& layout, proof::Command const& command, net::Connect const& connect) {
  if (command.arguments.empty() || command.arguments.front() != "self-test") return std::nullopt;
  proof::Outcome out;
  auto const way = way_of(world.disk, command.program);
  if (!way) world.fault(fmt::format("{} is tested, and is not what was published", command.program));
  bool const is_well = way && *way != Way::fails_its_test;
  auto const said = is_well ? agent::self_test(fs, world.clock, layout, connect) : Result<std::string>(Error{Kind::internal, "sick", "it does not work here"});
  if (said) command.answers(as_bytes(*said));
  else out.output = said.error().detail;
  out.exit_code = said ? 0 : agent::self_test_exit(said.error());
  out.text = fmt::format("ended with {}", out.exit_code);
  return out;
}

std::vector<std::string> check_trial(Disk const& disk) {
  std::vector<std::string> faults;
  auto const link = running(disk, std::string(wire::kAgentModel)).digest;
  auto left = disk;
  auto const record = agent::load_boot(*make_fs(left), agent::Layout{kRoot}).value();
  if (!record || record->trial != link) return faults;  // nothing is on trial
  auto const program = fmt::format("{}/models/{}/versions/{}/{}", kRoot, wire::kAgentModel, record->back, wire::kAgentProgram);
  if (!record->back.empty() && !way_of(disk, program)) faults.push_back(fmt::format("{:.8} is on trial, and what is to be gone back to, {:.8}, is not whole", link, record->back));
  return faults;
}

}  // namespace fleet::crash
