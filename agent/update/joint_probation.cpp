#include "agent/update/joint_probation.hpp"

#include <algorithm>

namespace fleet::agent {

JointProbation::Verdict JointProbation::step() {
  for (auto& part : parts_) {
    auto const verdict = part.run.step();
    part.passed = part.passed || verdict == Verdict::healthy;
    if (verdict != Verdict::failed) continue;
    if (part.passed && part.run.error().code == "probation_timeout") continue;  // it waits for the others
    error_ = part.run.error();
    if (!part.name.empty()) error_.text = part.name + ": " + error_.text;
    return Verdict::failed;
  }
  return std::all_of(parts_.begin(), parts_.end(), [](Part const& part) { return part.passed; }) ? Verdict::healthy : Verdict::pending;
}

Millis JointProbation::spent() const {
  Millis out{0};
  for (auto const& part : parts_) out = std::max(out, part.run.so_far().spent);
  return out;
}

std::vector<std::int64_t> JointProbation::inferences() const {
  std::vector<std::int64_t> out;
  for (auto const& part : parts_) out.push_back(part.run.so_far().inferences);
  return out;
}

std::string JointProbation::waits_for() const {
  for (auto const& part : parts_)
    if (auto waits = part.run.waits_for(); !waits.empty()) return waits;
  return {};
}

MonoTime JointProbation::next_step(MonoTime now) const {
  auto next = now + std::chrono::seconds{1};
  for (auto const& part : parts_) next = std::min(next, part.run.next_step());
  return next;
}

}  // namespace fleet::agent
