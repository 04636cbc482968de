#include "core/base/fs.hpp"
#include "core/base/users.hpp"

#include <fmt/format.h>

namespace fleet {
namespace {

constexpr std::uint64_t kFileMax = 4 * 1024 * 1024;

/// Empty where the file is not there: a machine without one has no users by name.
Result<std::string> read(std::string const& path) {
  auto text = system_fs().read(path, kFileMax);
  if (text || text.error().kind == Kind::not_found) return text ? *std::move(text) : std::string{};
  return Error{Kind::unavailable, "users_unreadable", fmt::format("{}: {}", path, text.error().detail)};
}

}  // namespace

Result<std::optional<SystemUser>> find_user(std::string const& name) {
  FLEET_TRY(auto const passwd, read("/etc/passwd"));
  return user_tables::user(passwd, name);
}

Result<std::optional<gid_t>> find_group(std::string const& name) {
  FLEET_TRY(auto const groups, read("/etc/group"));
  return user_tables::group(groups, name);
}

Result<std::vector<gid_t>> groups_of(std::string const& name, gid_t gid) {
  FLEET_TRY(auto const groups, read("/etc/group"));
  return user_tables::groups_of(groups, name, gid);
}

}  // namespace fleet
