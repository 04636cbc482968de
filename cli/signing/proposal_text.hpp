#pragma once

#include "core/trust/proposal.hpp"

#include <string>

namespace fleet::cli {

/// What a signer must read before signing, line by line: versions, expiry, keys with thresholds, releases, who signed; `=` as it stood, `+` new, `-` gone.
/// What cannot be read is said, not hidden. Judges no signature.
[[nodiscard]] std::string proposal_text(trust::Proposal const& proposal);
/// Whether that text tells all that a signature would cover. @errors bad_input (hidden_content)
[[nodiscard]] Result<void> check_readable(trust::Proposal const& proposal);
/// No release may set a floor above its own counter: devices that run it would take no later one. @errors signature (unexpected_change)
[[nodiscard]] Result<void> check_floors(trust::Proposal const& proposal);

}  // namespace fleet::cli
