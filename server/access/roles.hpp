#pragma once

#include "server/access/actor.hpp"

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace fleet::access {

struct Role {
  std::string_view name;
  std::array<bool, 5> allows;  ///< in the order of kRoleColumns
};

inline constexpr auto kRoleColumns =
    std::to_array<Permission>({Permission::read, Permission::operate, Permission::publish, Permission::approve, Permission::administer});

/// Every role's row, least first.
[[nodiscard]] std::span<Role const> roles();
[[nodiscard]] bool is_role(std::string_view name);
[[nodiscard]] bool role_allows(std::string_view role, Permission permission);
[[nodiscard]] std::string_view to_string(Permission permission);
/// `operator or admin`: who may, for a hint.
[[nodiscard]] std::string roles_that_allow(Permission permission);

}  // namespace fleet::access
