#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/proof/exec.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fleet::proof {

/// A program of a release or of the device's owner, as it is run: with a supervisor of its own, in a control group of its own where the
/// system has one, with the environment and limits of agent.yaml, as its user and in his groups, without descriptors, without new
/// privileges. Whatever it started ends with it: at its own end, at the time-out, and with the agent.
struct Command {
  std::string program;                 ///< absolute path
  std::vector<std::string> arguments;  ///< without the program itself
  std::string directory;               ///< working directory
  std::map<std::string, std::string> environment;
  Millis timeout{10'000};
  Exec exec;                ///< `exec:` of agent.yaml
  bool of_release = false;  ///< the program is a file of the release: what is wrong with it is the release's own
  std::string input = {};   ///< a file that it has open as its standard input, whatever its user may read; empty: none
  /// Takes its standard output as it comes, which is then apart from the output that is kept; false ends it.
  std::function<bool(BytesView)> answers = {};
  bool by_descriptor = false;  ///< the program is opened by the agent, and run from where its user may not enter
};

struct Outcome {
  int exit_code = 0;  ///< -1 when it ended by a signal or did not start
  int signal = 0;
  bool timed_out = false;
  Millis took{0};             ///< by the clock that it was run with
  std::uint64_t peak_bytes = 0;  ///< resident memory of its largest process at its peak; of a small one, no less than the caller has by itself
  std::string output;  ///< last 4 KiB of stdout and stderr together, valid UTF-8
  /// `ended with 3`, `killed by signal 9`, `still running after 30s`, `could not be started: ...`
  std::string text;
  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0 && !timed_out; }
};

/// What runs programs. @errors as `run` below
using RunProgram = std::function<Result<Outcome>(Command const& command, Clock& clock, std::atomic<bool> const& stop)>;

/// Before the first program: lets their control groups count processes and memory, where that can be. Otherwise a limit of memory that is not
/// held is logged.
void prepare_programs(Exec const& exec);

/// Runs and waits, by `clock`. Safe in a process with threads. `stop` set from another thread kills it and answers `unavailable` (code `interrupted`).
/// @errors none is evidence against a release: unknown_user, run_as_required, run_as_needs_root, unknown_program (a program of the device,
///   with path and errno), not_started (what the system refused, with errno), interrupted
[[nodiscard]] Result<Outcome> run(Command const& command, Clock& clock, std::atomic<bool> const& stop);

/// The first word is a file of the release (made executable at install) or a name under `programs` of agent.yaml.
/// @errors not_found (code `unknown_program`: a name that the owner may give); unprocessable (code `not_in_release`: anything else)
[[nodiscard]] Result<Command> resolve(Fs& fs, std::vector<std::string> const& words, std::string const& slot, Exec const& exec);

}  // namespace fleet::proof
