#pragma once

#include "core/trust/proposal.hpp"

#include <string>

namespace fleet::commands {

/// What a signer must read before signing, a line a change: versions, expiry, keys with thresholds, releases that come and go, who signed.
/// What cannot be read is said, not hidden. Judges no signature.
[[nodiscard]] std::string proposal_text(trust::Proposal const& proposal);

}  // namespace fleet::commands
