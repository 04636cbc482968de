#pragma once

#include "core/trust/proposal.hpp"
#include "server/catalog/models.hpp"
#include "server/catalog/releases.hpp"

#include <optional>
#include <string>
#include <vector>

/// Signing with keys that the server does not have: it proposes metadata, people sign files, it judges what comes back (docs/operators.md,
/// Take the keys off the server). A role is signed either here, by one key, or elsewhere: never by both.
namespace fleet::catalog {

/// The one path pattern of a model's role, and the path of one release in it.
[[nodiscard]] std::string model_paths(std::string_view model);
[[nodiscard]] std::string release_path(std::string_view model, std::string_view version);

/// For a role that no one may move: the server signs it itself. bad_input (code `role_stays_online`)
[[nodiscard]] Error bad_role(std::string_view role);

struct Change {
  std::string role;                     ///< root, targets, m-<model>, directive-root
  std::optional<trust::RoleSpec> keys;  ///< who signs the role from now on; nothing: who does today
  std::vector<std::string> releases;    ///< m-<model>: versions to add to those that are approved
};
/// The metadata that a change needs, unsigned. Changes nothing, but for the directive root, which always names a new key for directives: it waits in
/// the key ring, and signs once the owners' signatures are imported.
/// @errors not_found (unknown_role, unknown_release), bad_input (role_stays_online, bad_keys), conflict (revoked)
Result<trust::Proposal> propose(db::Connection& reader, KeyRing& keys, Change const& change, SysTime now);

struct Imported {
  std::vector<std::string> roles;     ///< whose metadata is new
  std::vector<std::string> approved;  ///< versions that the owners' signature approved
  std::optional<std::string> moved;   ///< the role whose key leaves this server: withheld in the key ring until the caller drops it
  bool rotated = false;               ///< directives have a new key: the caller ends the rotation of `directive-root`
};
/// Adds the signatures of the keys that are here, then judges as a device would: thresholds of the old and the new root, versions, expiry; and as
/// the server must: nothing but the role that the proposal names changes, snapshot and timestamp stay with this server, each listed release is
/// one that it knows, unchanged, unrevoked, with the approvals that its model asks for. Snapshot and timestamp follow.
/// @errors signature (threshold_unmet), conflict (stale_proposal, unexpected_change, release_missing, revoked, approvals_missing), bad_input, expired
Result<Imported> import_signed(store::Tx& tx, KeyRing& keys, trust::Proposal const& proposal, Cause const& cause);
/// At start: removes keys that a death left behind after their role had moved away.
Result<void> drop_moved_keys(db::Connection& reader, KeyRing& keys);

}  // namespace fleet::catalog
