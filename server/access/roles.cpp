#include "server/access/roles.hpp"

#include <algorithm>

namespace fleet::access {
namespace {

// clang-format off
inline constexpr auto kRoles = std::to_array<Role>({
    //            read   operate publish approve administer
    {"viewer",    {true, false,  false,  false,  false}},
    {"operator",  {true, true,   false,  false,  false}},
    {"publisher", {true, false,  true,   false,  false}},
    {"approver",  {true, false,  false,  true,   false}},
    {"admin",     {true, true,   true,   true,   true}},
});
// clang-format on

}  // namespace

std::span<Role const> roles() { return kRoles; }

bool is_role(std::string_view name) {
  return std::any_of(kRoles.begin(), kRoles.end(), [&](Role const& role) { return role.name == name; });
}

bool role_allows(std::string_view role, Permission permission) {
  if (permission == Permission::everyone) return true;
  auto const row = std::find_if(kRoles.begin(), kRoles.end(), [&](Role const& r) { return r.name == role; });
  auto const column = std::find(kRoleColumns.begin(), kRoleColumns.end(), permission);
  if (row == kRoles.end() || column == kRoleColumns.end()) return false;
  return row->allows[static_cast<std::size_t>(column - kRoleColumns.begin())];
}

std::string_view to_string(Permission permission) {
  switch (permission) {
    case Permission::everyone: return "everyone";
    case Permission::read: return "read";
    case Permission::operate: return "operate";
    case Permission::publish: return "publish";
    case Permission::approve: return "approve";
    case Permission::administer: return "administer";
    case Permission::device: return "device";
  }
  return "unknown";
}

std::string roles_that_allow(Permission permission) {
  std::string out;
  for (auto const& role : kRoles) {
    if (!role_allows(role.name, permission)) continue;
    if (!out.empty()) out += " or ";
    out += role.name;
  }
  return out;
}

}  // namespace fleet::access
