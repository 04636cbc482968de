#pragma once

#include "agent/proof/proof.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace fleet::agent {

/// The probations of all parts of an update, at the same time: it is healthy when each has been, and failed when one is; a health check counts to the end,
/// also of a part that has passed.
class JointProbation {
public:
  using Verdict = ProbationRun::Verdict;

  /// @param name  of the part, for its error; empty: there is one part alone
  void add(std::string name, ProbationRun run) { parts_.push_back({std::move(name), std::move(run)}); }
  Verdict step();
  [[nodiscard]] Millis spent() const;
  /// By part, in the order in which they were added.
  [[nodiscard]] std::vector<std::int64_t> inferences() const;
  [[nodiscard]] MonoTime next_step(MonoTime now) const;
  /// What agent.yaml lacks to run one of the checks; empty: nothing.
  [[nodiscard]] std::string waits_for() const;
  [[nodiscard]] wire::DeviceError const& error() const { return error_; }

private:
  struct Part {
    std::string name;
    ProbationRun run;
    bool passed = false;
  };
  std::vector<Part> parts_;
  wire::DeviceError error_;
};

}  // namespace fleet::agent
