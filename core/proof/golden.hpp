#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/proof/budget.hpp"
#include "core/proof/process.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <map>
#include <string>

namespace fleet::proof {

/// A release in its folder, about to be proved.
struct Candidate {
  std::string model, version, digest;
  std::string slot;     ///< absolute folder of its files
  std::string scratch;  ///< a folder that the proof makes for itself and removes; its parent is the caller's alone
  std::string statsd;   ///< path of the StatsD socket
  std::string variant = {};  ///< by name; empty: the hardware's own
};

/// What a program of the release finds in its environment.
[[nodiscard]] std::map<std::string, std::string> environment_of(Candidate const& candidate);

/// What programs of a release are run with.
struct Ground {
  Fs& fs;
  Clock& waits;  ///< programs are timed out by it: it moves while they run
  Exec const& exec;
  std::atomic<bool> const& stop;
  RunProgram run = &proof::run;
};

/// Absolute paths of a golden test's files, where they are others than those of the slot; empty: as the manifest says.
struct GoldenFiles {
  std::string inputs = {}, expect = {};
};

/// Runs the golden test's command in the slot, compares its output with what the manifest expects, number by number, and what it used with the budgets.
/// @errors unprocessable: the release's own, with code golden_failed (the program), golden_timeout, golden_mismatch (the first difference:
///   line, column, expected, got), golden_memory, golden_latency, and the program's output in `hint`; of every other kind: this machine's own, as run() has
///   them, no evidence against the release
[[nodiscard]] Result<Measured> golden_test(Ground const& ground, Candidate const& candidate, wire::Golden const& golden, GoldenFiles const& files = {});

}  // namespace fleet::proof
