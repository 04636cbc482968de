#pragma once

#include "agent/commands/commands.hpp"
#include "agent/link/link.hpp"

#include <functional>
#include <string>

namespace fleet::agent {

/// The answer to `{"do":"installing"}`: `{"install":n,"state":"waits"|"accepted"|"refused","refusal":{"kind","code","detail","hint"}?,"lost":text?,"targets":[{"model","version",
/// "outcome":"working"|"done"|"failed","state","waiting","error":{"code","text","output"}?}]}`: what became of each release that the bundle brings.
[[nodiscard]] std::string installing_json(Installing const& installing, std::map<std::string, ModelState> const& models, Told const& told, std::string const& lost);

/// `install BUNDLE`.
struct InstallOptions {
  std::string bundle;
  std::string receipt;  ///< file to write what the device did to, signed; empty: none
  bool wait = true;     ///< until everything that the bundle brings is committed, or has failed
  Millis timeout = std::chrono::hours{6};
};
/// How it waits, and tells of it.
struct InstallSurroundings {
  std::function<void(Millis)> pause;
  std::function<void(std::string const&)> say;
};
/// Hands the bundle to the daemon, which checks it as what comes over the network. @returns the exit code: 0 committed; 5 failed or rolled back; 9 waits for the
/// device's owner
/// @errors unavailable (`no_daemon`; `bundle_lost`), timeout, signature, expired, forbidden, conflict (`replayed`), bad_input
[[nodiscard]] Result<int> install(Machine const& machine, Layout const& layout, InstallOptions const& options, InstallSurroundings const& around);

}  // namespace fleet::agent
