#pragma once

#include "server/catalog/key_ring.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The release repository and the directive root, as rows of `metadata` (TUF 1.0.34; docs/protocol.md, release metadata).
namespace fleet::catalog {

/// At `fleet-server init`: first root, targets, snapshot, timestamp of both repositories.
Result<void> create_repositories(store::Tx& tx, KeyRing& keys, SysTime now);
/// A model's delegated role `m-<model>`, empty, terminating; targets, snapshot, timestamp follow.
Result<void> add_model_role(store::Tx& tx, KeyRing& keys, std::string const& model, SysTime now);
/// Adds (or, revoked, removes) a release's target in its model's role and signs the chain above it. What the role lists is every approved release.
Result<void> sign_model_role(store::Tx& tx, KeyRing& keys, std::string const& model, SysTime now);
/// Signs again what is past half its lifetime; at start and hourly. Roles whose keys lie elsewhere are passed over. Returns how many.
Result<int> refresh_online_roles(store::Tx& tx, KeyRing& keys, SysTime now);
/// After a restore: every online version becomes max(stored + 1, Unix seconds) and snapshot and timestamp keys rotate by a new root
/// (docs/protocol.md, Restore). Roles whose keys lie elsewhere stay as they are; without the root's key no key rotates.
Result<void> recover_versions(store::Tx& tx, KeyRing& keys, SysTime now);
/// A metadata file by its name in the repository: `<n>.<role>.json`, or `timestamp.json` for the newest (TUF 1.0.34, 7.3).
/// Nothing when there is none.
Result<std::optional<std::string>> find_metadata(db::Connection& reader, std::string_view repository, std::string_view file_name);

}  // namespace fleet::catalog
