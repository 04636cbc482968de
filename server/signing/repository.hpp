#pragma once

#include "core/trust/key_set.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The release repository and the directive root, as rows of `metadata` (TUF 1.0.34; docs/protocol.md, release metadata).
namespace fleet::signing {

/// How long what a role signs is good (docs/protocol.md, release metadata).
[[nodiscard]] Millis lifetime_of(std::string_view role);
/// At `fleet-server init`: first root, targets, snapshot, timestamp of both repositories.
Result<void> create_repositories(store::Tx& tx, KeyRing& keys, SysTime now);
/// A model's delegated role `m-<model>`, empty, terminating; targets, snapshot, timestamp follow.
Result<void> add_model_role(store::Tx& tx, KeyRing& keys, std::string const& model, SysTime now);
/// Adds (or, revoked, removes) a release's target in its model's role and signs the chain above it. What the role lists is every approved release.
Result<void> sign_model_role(store::Tx& tx, KeyRing& keys, std::string const& model, SysTime now);
/// Signs again what is past half its lifetime; at start and hourly. Roles whose keys lie elsewhere are passed over. Returns how many.
Result<int> refresh_online_roles(store::Tx& tx, KeyRing& keys, SysTime now);
/// A new key for `root`, `targets`, `snapshot`, `timestamp`, `m-<model>` or `directive-root`, and the metadata that says so: signed by the old
/// key, too, where it is a root's. Where it succeeds the caller ends the rotation of the key ring after the commit, or undoes it.
/// @errors not_found (`unknown_role`), unavailable (`key_offline`: the role's key, or that of the role above it, lies elsewhere)
Result<void> rotate_role(store::Tx& tx, KeyRing& keys, std::string const& role, SysTime now);
/// At start: ends or undoes what a death in between left open, by the key that the newest metadata names.
/// The folder and the database are a pair (admin::check_pair): keys of roles that have moved away are dropped.
Result<void> settle_rotations(db::Connection& reader, KeyRing& keys);
/// The keys that the newest metadata names for a role. @errors not_found (`unknown_role`)
[[nodiscard]] Result<trust::KeySet> keys_of_role(db::Connection& reader, std::string const& role);

/// After a restore: every online version becomes max(stored + 1, Unix seconds) and snapshot and timestamp keys rotate by a new root
/// (docs/protocol.md, Restore). Roles whose keys lie elsewhere stay as they are; without the root's key no key rotates.
Result<void> recover_versions(store::Tx& tx, KeyRing& keys, SysTime now);
/// Whether one of the keys that the newest metadata names for a role lies on this server. @errors not_found (`unknown_role`), io
[[nodiscard]] Result<bool> holds_role(db::Connection& reader, KeyRing& keys, std::string const& role);
/// A metadata file by its name in the repository: `<n>.<role>.json`, or `timestamp.json` for the newest (TUF 1.0.34, 7.3).
/// Nothing when there is none.
Result<std::optional<std::string>> find_metadata(db::Connection& reader, std::string_view repository, std::string_view file_name);

}  // namespace fleet::signing
