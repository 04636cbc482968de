#pragma once

#include "core/base/time.hpp"

#include <atomic>
#include <map>
#include <string>
#include <vector>

namespace fleet::agent {

/// A program of a release or of the device's owner, as it is run: own process group, clean environment (only `environment`), closed
/// descriptors, limits, no new privileges, another user where given, killed as a group at the time-out.
struct Command {
  std::string program;                 ///< absolute path
  std::vector<std::string> arguments;  ///< without the program itself
  std::string directory;               ///< working directory
  std::map<std::string, std::string> environment;
  Millis timeout{10'000};
  std::string run_as;  ///< user name; empty: the agent's own (refused when that is root)
};

struct Outcome {
  int exit_code = 0;  ///< -1 when it ended by a signal or did not start
  int signal = 0;
  bool timed_out = false;
  std::string output;  ///< last 4 KiB of stdout and stderr together, valid UTF-8
  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0 && !timed_out; }
  /// `ended with 3`, `killed by signal 9`, `still running after 30s`
  std::string text;
};

/// Runs and waits. Safe in a process with threads. `stop` set from another thread kills it and answers `unavailable` (code `interrupted`).
/// @errors not_found (program), forbidden (code `run_as_required`), unavailable
[[nodiscard]] Result<Outcome> run(Command const& command, std::atomic<bool> const& stop);

/// The first word is a file of the release (made executable at install) or a name under `programs` of agent.yaml.
/// @errors not_found (code `unknown_program`)
[[nodiscard]] Result<Command> resolve(std::vector<std::string> const& words, std::string const& slot, std::map<std::string, std::string> const& programs);

}  // namespace fleet::agent
