#include "core/proof/user.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fleet::proof {
namespace {

constexpr std::size_t kEntryMax = 1024 * 1024;
constexpr std::string_view kHint = "set exec: {run_as: USER} in agent.yaml";

Result<ProgramUser> look_up(std::string const& name) {
  std::vector<char> buffer(4096);
  passwd entry{};
  passwd* found = nullptr;
  int fault = 0;
  while ((fault = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE && buffer.size() < kEntryMax)
    buffer.resize(2 * buffer.size());
  if (found == nullptr)
    return Error{Kind::not_found, "unknown_user",
                 fmt::format("there is no user '{}'{}{}", name, fault == 0 ? "" : ": ", fault == 0 ? "" : std::strerror(fault)), std::string(kHint)};
  ProgramUser out{name, entry.pw_uid, entry.pw_gid, std::vector<gid_t>(64), true};
  auto count = static_cast<int>(out.groups.size());
  while (::getgrouplist(name.c_str(), out.gid, out.groups.data(), &count) < 0 && out.groups.size() < kEntryMax)
    out.groups.resize(std::max(static_cast<std::size_t>(count), 2 * out.groups.size())), count = static_cast<int>(out.groups.size());
  out.groups.resize(static_cast<std::size_t>(count));
  return out;
}

}  // namespace

Result<ProgramUser> program_user(std::string const& run_as) {
  auto const self = ::geteuid();
  if (self == 0 && run_as.empty())
    return Error{Kind::forbidden, "run_as_required", "the agent is root: programs of releases need a user of their own", std::string(kHint)};
  if (run_as.empty()) return ProgramUser{{}, self, ::getegid(), {}, false};
  FLEET_TRY(auto user, look_up(run_as));
  user.other = user.uid != self;
  if (user.other && self != 0)
    return Error{Kind::forbidden, "run_as_needs_root",
                 fmt::format("exec: {{run_as: {}}} is user {}, and the agent runs as user {}: only root can change to another user", run_as, user.uid, self),
                 "start the agent as root, or leave run_as out and accept that programs of releases can do what the agent can"};
  return user;
}

}  // namespace fleet::proof
