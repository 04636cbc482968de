#pragma once

#include "core/base/result.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Users and groups of this machine by name. One of two is built: `users_libc.cpp` asks whatever the machine asks (nsswitch.conf(5)),
/// `users_files.cpp`, for a program that is wholly static, reads /etc/passwd and /etc/group.
namespace fleet {

struct SystemUser {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Nothing where there is no such user. @errors unavailable (`users_unreadable`)
[[nodiscard]] Result<std::optional<SystemUser>> find_user(std::string const& name);
/// Nothing where there is no such group. @errors unavailable (`users_unreadable`)
[[nodiscard]] Result<std::optional<gid_t>> find_group(std::string const& name);
/// Every group of a user, `gid` of his own among them.
[[nodiscard]] Result<std::vector<gid_t>> groups_of(std::string const& name, gid_t gid);

/// What the two files say, line by line (passwd(5), group(5)). Lines that are none are passed over, as every reader of these files does.
namespace user_tables {
[[nodiscard]] std::optional<SystemUser> user(std::string_view passwd, std::string_view name);
[[nodiscard]] std::optional<gid_t> group(std::string_view groups, std::string_view name);
[[nodiscard]] std::vector<gid_t> groups_of(std::string_view groups, std::string_view name, gid_t gid);
}  // namespace user_tables

}  // namespace fleet
