#pragma once

#include "core/proof/compare.hpp"
#include "core/proof/golden.hpp"

#include <string>

namespace fleet::proof {

/// What came of a shadow.
struct Shadowed {
  Agreement agreement;
  std::string skipped;  ///< why nothing was compared; empty: it was
  std::string short_of;  ///< it was, and fewer inferences were recorded than the manifest wants: in words; else empty
};

/// Runs the shadow's command of a manifest for what runs, then for the candidate, each in its own slot by its own program ($FLEET_SLOT, $FLEET_INPUTS,
/// $FLEET_COUNT, $FLEET_OUTPUT), and compares what they wrote. What runs and cannot answer is no evidence against the candidate.
/// @param inputs  file or folder of what was recorded; empty: the owner names none
/// @errors unprocessable: the candidate's own, with code shadow_failed, shadow_timeout, and the program's output in `hint`; of every other kind: this machine's own
[[nodiscard]] Result<Shadowed> shadow_test(Ground const& ground, Candidate const& candidate, Candidate const& running, wire::Manifest const& manifest,
                                           std::string const& inputs);

/// More than `disagree_max` of `n` that differ are too many, however few were recorded.
/// @errors unprocessable (code `shadow_disagrees`) with inferences, share, what is allowed; the first difference in `hint`
[[nodiscard]] Result<void> check_agreement(wire::Shadow const& shadow, Agreement const& agreement);

}  // namespace fleet::proof
