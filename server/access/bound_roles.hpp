#pragma once

#include "server/access/oidc/judge.hpp"
#include "server/store/store.hpp"

#include <boost/json/object.hpp>

namespace fleet::access {

/// A bound role as its row has it.
struct BoundRoleRow {
  oidc::BoundRole role;
  std::string created_by;
  SysTime created_at{};
  bool operator==(BoundRoleRow const&) const = default;
};

/// @errors not_found (code `unknown_role`)
[[nodiscard]] Result<BoundRoleRow> load_bound_role(db::Connection& reader, std::string_view name);
[[nodiscard]] Error unknown_role(std::string_view name);
/// By name, after `after`, at most `limit`.
[[nodiscard]] Result<std::vector<BoundRoleRow>> list_bound_roles(db::Connection& reader, std::string_view after, int limit);
[[nodiscard]] Result<void> insert_bound_role(store::Tx& tx, BoundRoleRow const& row);
/// The tokens that it gave go with it.
[[nodiscard]] Result<void> delete_bound_role(store::Tx& tx, std::string_view name, SysTime now);

/// The certificates of an issuer come along: a system's whole bundle fits.
inline constexpr std::uint64_t kRoleBytesMax = 1024 * 1024;
/// The body of POST /roles. @errors bad_input with every fault
[[nodiscard]] Result<oidc::BoundRole> decode_bound_role(std::string_view body);
/// As the API shows it; of the issuer's certificates their digest alone.
[[nodiscard]] boost::json::object bound_role_object(BoundRoleRow const& row);

}  // namespace fleet::access
