#pragma once

#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

#include <string>
#include <vector>

/// Who holds which role of the two repositories, and until when what it signed is good.
namespace fleet::signing {

struct RoleStatus {
  std::string role;  ///< root, targets, snapshot, timestamp, m-<model>, directive-root
  std::int64_t version = 0;
  SysTime expires{};
  int threshold = 1;
  std::vector<std::string> key_ids;
  bool here = false;          ///< the server holds a key that the metadata names
  bool expires_soon = false;  ///< less than a quarter of its lifetime is left: it was due at half
};
/// Role, version and expiry alone: nothing is parsed.
[[nodiscard]] Result<std::vector<RoleStatus>> list_roles(db::Connection& reader);
[[nodiscard]] Result<std::vector<RoleStatus>> trust_status(db::Connection& reader, KeyRing& keys, SysTime now);

/// True when the server alone could make devices run a release: it holds root, or targets, or a model's key.
[[nodiscard]] bool is_managed(std::vector<RoleStatus> const& roles);

/// Events `trust.expiring` for roles that expire soon, once for each version of them.
Result<void> warn_of_expiry(store::Tx& tx, KeyRing& keys, SysTime now);

}  // namespace fleet::signing
