#pragma once

#include "agent/store/model_state.hpp"

#include <cstdint>
#include <functional>
#include <set>
#include <string>

namespace fleet::agent {

/// How much of what ran before the owner keeps of each model: `keep` in agent.yaml.
struct Keep {
  int versions = 2;             ///< all together; the current and the previous one always stay
  std::uint64_t max_bytes = 0;  ///< of all versions together; 0: no limit
};

/// What must stay whatever the owner says: what runs, what ran before it, and what is being installed.
[[nodiscard]] std::set<std::string> needed_versions(ModelState const& state);
/// The same, and as many of the former ones, the newest first, as `keep` allows.
/// @param size_of  bytes of a version on the disk; 0 where it is not there
[[nodiscard]] std::set<std::string> kept_versions(ModelState const& state, Keep const& keep, std::function<std::uint64_t(std::string const&)> const& size_of);
/// At a commit: `older` goes to the former ones.
void retire_older(ModelState& state);

}  // namespace fleet::agent
