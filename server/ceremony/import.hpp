#pragma once

#include "server/ceremony/propose.hpp"

namespace fleet::ceremony {

struct Imported {
  std::vector<std::string> roles;     ///< whose metadata is new
  std::vector<std::string> approved;  ///< versions that the owners' signature approved
  std::optional<std::string> moved;   ///< the role whose key leaves this server: withheld in the key ring until the caller drops it
  bool rotated = false;               ///< directives have a new key: the caller ends the rotation of `directive-root`
};
/// Adds the signatures of the keys that are here, then judges as a device would: thresholds of the old and the new root, versions, expiry; and as
/// the server must: nothing but the role that the proposal names changes, snapshot and timestamp stay with this server, each listed release is
/// one that it knows, unchanged, unrevoked, with the approvals that its model asks for. Snapshot and timestamp follow.
/// A release that the signature approves is no more made of what was revoked than one that is published, unless an administrator brings it.
/// @errors signature (threshold_unmet), conflict (stale_proposal, unexpected_change, release_missing, revoked, revoked_bytes, approvals_missing), bad_input, expired
Result<Imported> import_signed(store::Tx& tx, signing::KeyRing& keys, trust::Proposal const& proposal, events::Deed const& deed,
                               catalog::Authority const& authority = {});

}  // namespace fleet::ceremony
