#include "core/proof/user.hpp"

#include "core/base/users.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace fleet::proof {
namespace {

constexpr std::string_view kHint = "set exec: {run_as: USER} in agent.yaml";

Result<ProgramUser> look_up(std::string const& name) {
  auto const found = find_user(name);
  if (!found || !*found)
    return Error{Kind::not_found, "unknown_user",
                 fmt::format("there is no user '{}'{}{}", name, found ? "" : ": ", found ? "" : found.error().detail), std::string(kHint)};
  FLEET_TRY(auto groups, groups_of(name, (*found)->gid));
  return ProgramUser{name, (*found)->uid, (*found)->gid, std::move(groups), true};
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
