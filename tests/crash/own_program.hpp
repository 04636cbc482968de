#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/net/client.hpp"
#include "core/proof/process.hpp"

#include <optional>
#include <string>
#include <vector>

/// The agent's own program (docs/adr/0047): what each does is told by its text.
namespace fleet::crash {

class Disk;
struct World;

inline constexpr char kOwnSound[] = "agent: sound", kOwnNone[] = "agent: no program", kOwnFalls[] = "agent: falls", kOwnHangs[] = "agent: hangs", kOwnDeaf[] = "agent: deaf",
                      kOwnSick[] = "agent: sick";
inline constexpr char kPackaged[] = "/usr/bin/fleet-agent";

/// The agent's process while it lives.
struct Process {
  std::string slot = {};                   ///< digest of the release that its program is of; empty: the package's
  std::optional<MonoTime> ends_at = {};    ///< its watchdog
  bool hangs = false;
  bool is_deaf = false;                    ///< it reaches no server
};
/// What the service manager does: starts the package's program, which becomes what it chose. Nothing: it ended at once.
[[nodiscard]] std::optional<Process> start_process(World& world, Fs& fs, agent::Layout const& layout);
/// `self-test` of a program; nothing: it is no program of the agent's.
[[nodiscard]] std::optional<proof::Outcome> run_self_test(World& world, Fs& fs, agent::Layout const& layout, proof::Command const& command, net::Connect const& connect);
/// Where a program is on trial on this disk: whether what would be gone back to is whole. @returns what does not hold
[[nodiscard]] std::vector<std::string> check_trial(Disk const& disk);

}  // namespace fleet::crash
