#pragma once

#include "agent/proof/interrupt.hpp"
#include "agent/store/config.hpp"
#include "agent/telemetry/collector.hpp"
#include "core/base/fs.hpp"
#include "core/proof/golden.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace fleet::agent {

/// What proofs work with.
struct Bench {
  Fs& fs;
  Clock& clock;
  Clock& waits;  ///< programs and requests are timed out by it: it moves while they run
  Config const& config;
  Collector& collector;
  Interrupt& stop;
  [[nodiscard]] proof::Ground ground() const { return {fs, waits, config.exec, stop.flag(), run}; }
  proof::RunProgram run = &proof::run;
};

inline constexpr Millis kProgramTimeout{10'000};
/// A program that must end well (activate, hooks). @errors unprocessable (code `code`): the program's own; else as run() has them
[[nodiscard]] Result<void> run_program(Bench const& bench, proof::Candidate const& candidate, std::vector<std::string> const& words, std::string const& code,
                                       Millis timeout = kProgramTimeout);

/// How far a probation has come.
struct ProbationSoFar {
  Millis spent{0};
  std::int64_t inferences = 0;
};

/// The time after the switch: health checks for a time and a count of inferences.
class ProbationRun {
public:
  enum class Verdict { pending, healthy, failed };
  /// @param before  what earlier starts of this probation had, which counts on
  ProbationRun(Bench const& bench, proof::Candidate candidate, wire::Manifest const& manifest, ProbationSoFar before = {});
  ProbationRun(ProbationRun&&) noexcept;
  ProbationRun& operator=(ProbationRun&&) noexcept;
  ~ProbationRun();
  /// What agent.yaml lacks to run one of the checks; empty: nothing. Such a check neither fails nor ends at `max`: it is run again until somebody mends it.
  [[nodiscard]] std::string waits_for() const;
  /// Runs what is due, then judges. Call it again at `next_step`. A check fails the probation when it fails at its last run three times in
  /// a row (exec, http) or when its window has the samples and the value is outside (statsd); at `max` without the inferences or samples: failed.
  Verdict step();
  [[nodiscard]] ProbationSoFar so_far() const;
  [[nodiscard]] MonoTime next_step() const;
  /// Codes health_failed, probation_timeout, or where a check cannot be run those of run(), which are the device's own; with the check and
  /// numbers in words.
  [[nodiscard]] wire::DeviceError const& error() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fleet::agent
