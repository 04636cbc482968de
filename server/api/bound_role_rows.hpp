#pragma once

#include "server/api/route.hpp"
#include "server/oidc/judge.hpp"

#include <boost/json/object.hpp>

namespace fleet::api {

/// A bound role as its row has it.
struct BoundRoleRow {
  oidc::BoundRole role;
  std::string created_by;
  SysTime created_at{};
  bool operator==(BoundRoleRow const&) const = default;
};

/// @errors not_found (code `unknown_role`)
[[nodiscard]] Result<BoundRoleRow> load_bound_role(db::Connection& reader, std::string_view name);
/// By name, after `after`, at most `limit`.
[[nodiscard]] Result<std::vector<BoundRoleRow>> list_bound_roles(db::Connection& reader, std::string_view after, int limit);
[[nodiscard]] Result<void> insert_bound_role(store::Tx& tx, BoundRoleRow const& row);
/// The body of POST /roles. @errors bad_input with every fault
[[nodiscard]] Result<oidc::BoundRole> decode_bound_role(std::string_view body);
/// As the API shows it; of the issuer's certificates their digest alone.
[[nodiscard]] boost::json::object bound_role_object(BoundRoleRow const& row);

}  // namespace fleet::api
