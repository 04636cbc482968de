#pragma once

#include "core/proof/exec.hpp"
#include "core/base/descriptor.hpp"

#include <memory>
#include <string>

namespace fleet::proof {

/// The folder of the agent's own control group (v2), where it may make one for each program; empty where there is none.
[[nodiscard]] std::string own_cgroup();

/// Lets the groups of programs count processes and memory: moves the agent into a group beside theirs, as cgroup v2 wants it. Only where the
/// group was given to the agent (systemd's Delegate=); elsewhere groups end programs, and count nothing.
/// @errors the device's own (code `no_controllers`)
[[nodiscard]] Result<void> delegate_controllers(std::string const& own);

/// One program's group: everything the program starts is in it, wherever it moves itself, and is ended with it.
class ProgramGroup {
public:
  /// Nothing where no group can be made. What an agent before this one left empty is removed.
  [[nodiscard]] static std::unique_ptr<ProgramGroup> make(std::string const& own, ExecLimits const& limits);
  ProgramGroup(ProgramGroup const&) = delete;
  /// It is empty by now, or stays for the next agent to remove.
  ~ProgramGroup();
  [[nodiscard]] int procs() const { return procs_.get(); }
  /// A `1` written here ends (before Linux 5.14: stops) all that is in it.
  [[nodiscard]] int end() const { return end_.get(); }
  [[nodiscard]] bool counts_processes() const { return counts_processes_; }
  /// Something in it was killed for its memory.
  [[nodiscard]] bool ran_out_of_memory() const;

private:
  explicit ProgramGroup(std::string dir) : dir_(std::move(dir)) {}
  std::string dir_;
  Descriptor procs_, end_;
  bool counts_processes_ = false;
};

}  // namespace fleet::proof
