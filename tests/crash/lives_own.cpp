#include "tests/crash/own_program.hpp"
#include "tests/crash/steps.hpp"

#include "agent/store/layout.hpp"

#include <fmt/format.h>

/// The agent's own program by its own rollout (docs/adr/0047): whatever it does, who starts it ends with one that is whole, and knows which.
namespace fleet::crash {
namespace {

using wire::Action;

std::string const kOwn(wire::kAgentModel);

Published program(std::string const& version, std::string const& text) {
  Published what;
  what.files = {{std::string(wire::kAgentProgram), text}, {"fleet-unpack", "of " + version}};
  wire::Manifest how;
  how.handler = wire::kAgentHandler;
  how.probation = wire::Probation{Millis{3'000}, 0, Millis{60'000}};
  return publish(kOwn, version, version.front() - '0', std::move(what), std::move(how));
}

/// 1 and 2 are sound; 3 is no program, 4 falls at each start, 5 hangs, 6 hears no server, 7 fails its own test.
void programs(World& world) {
  releases(world);
  for (auto const& [version, text] : {std::pair{"1", kOwnSound}, std::pair{"2", kOwnSound}, std::pair{"3", kOwnNone}, std::pair{"4", kOwnFalls}, std::pair{"5", kOwnHangs},
                                      std::pair{"6", kOwnDeaf}, std::pair{"7", kOwnSick}})
    world.add(program(version, text));
}

/// Told, and so: the process is of what the link leads to, and nothing is on trial.
bool is_settled(World const& world, std::string const& state, std::string const& rollout) {
  auto const* const told = world.peer.last_told(kOwn);
  if (told == nullptr || told->state != state || told->rollout != rollout) return false;
  return world.program == running(world.disk, kOwn).digest && !world.disk.exists(agent::Layout{kRoot}.boot());
}

/// A disk that takes no count of a start has the device go back from a good one: the rollout tries again.
void try_again(World& world, std::string const& version, std::string const& rollout) {
  auto const* const told = world.peer.last_told(kOwn);
  if (!world.peer.may_ask_anew || told == nullptr || told->state != "rolled_back" || told->error.code != "fell_back") return;
  world.peer.direct({Peer::target(world.release(kOwn, version), rollout, Action::install, told->attempt + 1)});
}

Step becomes(std::string version, std::string rollout) {
  return {fmt::format("agent {} directed, committed", version),
          [=](World& world) { world.peer.direct({Peer::target(world.release(kOwn, version), rollout)}); },
          [=](World const& world) { return is_settled(world, "committed", rollout); }, [=](World& world, agent::Daemon&) { try_again(world, version, rollout); }};
}
Step ends_otherwise(std::string version, std::string rollout, std::string state, Action action = Action::install) {
  return {fmt::format("agent {} directed, {}", version, state),
          [=](World& world) { world.peer.direct({Peer::target(world.release(kOwn, version), rollout, action)}); },
          [=](World const& world) { return is_settled(world, state, rollout); }};
}
/// The agent and a model of it at the same time: what the one waits for holds up nobody.
Step becomes_beside_a_model(std::string version, std::string rollout) {
  auto step = becomes(version, rollout);
  step.act = [=](World& world) { world.peer.direct({Peer::target(world.release(kOwn, version), rollout), Peer::target(world.release("reader", "2"), "ro-9")}); };
  step.reached = [rollout](World const& world) { return is_settled(world, "committed", rollout) && world.peer.was_told("reader", "committed", "ro-9"); };
  return step;
}

}  // namespace

std::vector<Life> with_lives_of_own_program(std::vector<Life> out) {
  auto const config = kConfig + "handlers: [files, agent]\n";
  auto const first = becomes("1", "ro-1"), second = becomes("2", "ro-2");
  auto const goes_back = [&](std::string name, std::string const& version) {
    return Life{std::move(name), config, programs, {first}, {ends_otherwise(version, "ro-2", "rolled_back")}, {{kOwn, "1"}}, {{kOwn, {"rolled_back " + version}}}};
  };
  std::vector<Life> const these{
      {"own program, first", config, programs, {enrols()}, {first}, {{kOwn, "1"}}, {{kOwn, {"committed 1"}}}},
      {"own program, update", config, programs, {first}, {second}, {{kOwn, "2"}}, {{kOwn, {"committed 2"}}}},
      {"own program, with a model", config, programs, {first, directs("1", "ro-8", "committed")}, {becomes_beside_a_model("2", "ro-2")}, {{kOwn, "2"}, {"reader", "2"}}, {{kOwn, {"committed 2"}}}},
      {"own program, first falls", config, programs, {enrols()}, {ends_otherwise("4", "ro-2", "rolled_back")}, {{kOwn, ""}}, {{kOwn, {"rolled_back 4"}}}},
      goes_back("own program, starts not", "3"),
      goes_back("own program, falls", "4"),
      goes_back("own program, hangs", "5"),
      goes_back("own program, hears nobody", "6"),
      {"own program, failed test", config, programs, {first}, {ends_otherwise("7", "ro-2", "failed")}, {{kOwn, "1"}}, {{kOwn, {"failed 7"}}}},
      {"own program, ordered back", config, programs, {first, second}, {ends_otherwise("1", "ro-2", "rolled_back", Action::revert)}, {{kOwn, "1"}}, {{kOwn, {"rolled_back 2"}}}},
  };
  out.insert(out.end(), these.begin(), these.end());
  return out;
}

}  // namespace fleet::crash
