#pragma once

#include "core/proof/exec.hpp"
#include "core/base/fs.hpp"

#include <sys/types.h>

#include <string>
#include <vector>

namespace fleet::proof {

/// Whom programs run as, with the groups that are his in the system's own tables (`video` and `render` lead to the accelerator).
struct ProgramUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool other = false;  ///< than the agent itself, which is root then
  [[nodiscard]] Owner owner() const { return {uid, gid}; }
};

/// The user that `exec: {run_as}` of agent.yaml names; without it the agent's own, unless that is root.
/// @errors the device's own: run_as_required, run_as_needs_root, unknown_user
[[nodiscard]] Result<ProgramUser> program_user(std::string const& run_as);

}  // namespace fleet::proof
