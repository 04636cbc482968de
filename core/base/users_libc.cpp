#include "core/base/users.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fleet {
namespace {

constexpr std::size_t kEntryMax = 1024 * 1024;

/// `ask` is getpwnam_r(3) or getgrnam_r(3) but for its buffer; what it found, as `use` reads it.
template <class Entry, class Ask, class Use>
auto find(std::string const& name, Ask ask, Use use) -> Result<std::optional<decltype(use(Entry{}))>> {
  std::vector<char> buffer(4096);
  Entry entry{};
  Entry* found = nullptr;
  int fault = 0;
  while ((fault = ask(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE && buffer.size() < kEntryMax) buffer.resize(2 * buffer.size());
  if (found != nullptr) return std::optional(use(*found));
  // What there is no such name is told as, differs (getpwnam(3), Errors); none of these says that it could not be asked.
  if (fault == 0 || fault == ENOENT || fault == ESRCH || fault == EBADF || fault == EPERM) return std::optional<decltype(use(Entry{}))>{};
  return Error{Kind::unavailable, "users_unreadable", fmt::format("'{}' among this machine's users and groups: {}", name, std::strerror(fault))};
}

}  // namespace

Result<std::optional<SystemUser>> find_user(std::string const& name) {
  return find<passwd>(name, ::getpwnam_r, [](passwd const& entry) { return SystemUser{entry.pw_uid, entry.pw_gid}; });
}

Result<std::optional<gid_t>> find_group(std::string const& name) {
  return find<group>(name, ::getgrnam_r, [](group const& entry) { return entry.gr_gid; });
}

Result<std::vector<gid_t>> groups_of(std::string const& name, gid_t gid) {
  std::vector<gid_t> out(64);
  auto count = static_cast<int>(out.size());
  while (::getgrouplist(name.c_str(), gid, out.data(), &count) < 0 && out.size() < kEntryMax)
    out.resize(std::max(static_cast<std::size_t>(count), 2 * out.size())), count = static_cast<int>(out.size());
  out.resize(static_cast<std::size_t>(count));
  return out;
}

}  // namespace fleet
