#pragma once

#include "agent/commands/daemon.hpp"
#include "tests/crash/disk.hpp"
#include "tests/crash/peer.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace fleet::crash {

struct World;

/// What the outside does, and what it then waits for.
struct Step {
  std::string name;
  std::function<void(World&)> act;                       ///< the server's people
  std::function<bool(World const&)> reached;
  std::function<void(World&, agent::Daemon&)> order = {};  ///< the device's owner: once, and again where a power cut made the device forget it
};

/// A life of a device: a row of the table (lives.cpp).
struct Life {
  std::string name;
  std::string config;                          ///< agent.yaml
  std::function<void(World&)> prepare;         ///< what the server has from the beginning
  std::vector<Step> before;                    ///< lived in peace, once for all cuts
  std::vector<Step> steps;                     ///< the power may go at every operation of these
  /// What must hold at the end besides what always must (checks.cpp).
  std::map<std::string, std::string> runs = {};  ///< by model the version at which `current` points; empty: none
  std::map<std::string, std::vector<std::string>> told = {};  ///< by model what must have been told, as Peer::told has it; where it is one alone, as the last
  std::string (*also)(World const&) = nullptr;  ///< and what else does not hold; empty: it does
  Millis most = std::chrono::hours{48};  ///< of virtual time, for all of it
  std::uint64_t requests_most = 1'500;
};

/// The device's disk, its server, and time: all that is left when the power goes. A value.
struct World {
  World(Life const& life, SysTime now);

  Life const* life;
  Disk disk;
  Peer peer;
  FakeClock clock;
  std::size_t at = 0;            ///< of the steps
  bool acted = false;
  bool in_peace = true;          ///< still in `before`
  bool enrolled = false;         ///< somebody saw it succeed
  bool restart = false;          ///< the daemon is to be ended in an orderly way, and begun again
  bool other_driver = false;     ///< golden tests have other answers than before
  std::string program = {};      ///< digest of the release that the agent's process is of; empty: the package's
  int boots = 0;
  std::set<std::string> accepted;   ///< items of durable tiers that the spool took: `tier sequence text`
  std::set<std::string> committed;     ///< models that ran something, told as committed
  std::set<std::string> may_run_none;  ///< models of which none may run by now: they are to be taken away
  std::vector<std::string> faults;

  [[nodiscard]] std::vector<Step> const& steps() const { return in_peace ? life->before : life->steps; }
  [[nodiscard]] bool is_over() const { return at >= steps().size(); }
  void fault(std::string text);
  /// Of a published release, by model and version.
  [[nodiscard]] Published const& release(std::string const& model, std::string const& version) const { return releases.at(model + "@" + version); }
  void add(Published release);
  std::map<std::string, Published> releases;
};

inline constexpr char kRoot[] = "/agent";

/// To be called after every operation: what the spool takes is remembered.
void note_accepted(World& world, Call call, std::string const& path);

/// Runs the device until its life is over: starts the daemon, turns its loops, starts it again where it cannot begin, as an init system does, and lets
/// time pass in between. Ends early with a fault when the life does not come to its end, or at once when `stop` says so.
void live(World& world, std::function<bool()> const& stop = {});

/// Where a model's `current` leads.
struct Running {
  std::string link, digest, variant;  ///< digest empty: there is none
};
[[nodiscard]] Running running(Disk const& disk, std::string const& model);

/// What must hold on the disk at every instant, the daemon running or not: `current` leads to a whole release that the server named. @returns what does not
[[nodiscard]] std::vector<std::string> check_disk(World const& world, Disk const& disk);
/// Where a program of the owner installed what runs: whether that runs, whole. @returns what does not hold
[[nodiscard]] std::vector<std::string> check_flash(World const& world, Disk const& disk, std::string const& model);
/// Whether the server has all that the spool took.
[[nodiscard]] bool is_all_heard(World const& world);
/// And when the life is over.
void check_end(World& world);

[[nodiscard]] std::vector<Life> const& lives();

}  // namespace fleet::crash
