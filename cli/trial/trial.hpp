#pragma once

#include "cli/trial/disturb.hpp"
#include "core/proof/golden.hpp"
#include "core/proof/shadow.hpp"

#include <memory>
#include <optional>
#include <string>

namespace fleet::cli {

/// What is tried, and how.
struct Trial {
  std::string folder;   ///< of the release's files, absolute
  std::string against;  ///< of the version before, for its shadow; empty: none
  std::string recorded; ///< inputs of the shadow
  wire::Manifest manifest;
  Disturbance disturbance;
  Millis delay{0};  ///< between two lines of the golden inputs
  std::uint64_t seed = 1;
};

/// What came of it. No code: it passed.
struct Tried {
  struct Step {
    std::string code, text, output;
    [[nodiscard]] bool passed() const { return code.empty(); }
  };
  std::optional<Step> golden, shadow;  ///< nothing: the manifest has none, or there is nothing to compare with
  proof::Measured measured;            ///< where golden passed
  std::optional<proof::Shadowed> shadowed;
  std::size_t lines = 0, lost = 0;  ///< of the golden inputs, where they were disturbed
  bool latency_judged = true;       ///< not where the delay was ours and the program says nothing of each inference
  [[nodiscard]] bool passed() const { return (!golden || golden->passed()) && (!shadow || shadow->passed()); }
};

/// Runs it as an agent would.
/// @param work  a folder that is made for what it reads and writes, and is gone afterwards; its parent may be entered by the program's user
/// @errors this machine's own, and what is wrong with how it was asked: as proof::golden_test, disturb
[[nodiscard]] Result<Tried> try_release(proof::Ground const& ground, Trial const& trial, std::string const& work);

}  // namespace fleet::cli
