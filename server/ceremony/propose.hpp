#pragma once

#include "core/trust/proposal.hpp"
#include "server/catalog/models.hpp"
#include "server/catalog/releases.hpp"

#include <optional>
#include <string>
#include <vector>

/// Signing with keys that the server does not have: it proposes metadata, people sign files, it judges what comes back (docs/operators.md,
/// Take the keys off the server). A role is signed either here, by one key, or elsewhere: never by both.
namespace fleet::ceremony {

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
Result<trust::Proposal> propose(db::Connection& reader, signing::KeyRing& keys, Change const& change, SysTime now);

}  // namespace fleet::ceremony
