#pragma once

#include "agent/store/config.hpp"
#include "agent/store/layout.hpp"

#include <vector>

namespace fleet::agent {

/// What agent.yaml names and this machine lacks, or the agent may not use: with path and the system's words.
struct ConfigFaults {
  std::vector<FieldError> users;     ///< nothing of a release can run: the daemon does not start
  std::vector<FieldError> programs;  ///< releases that call them have to wait; the daemon tells it and runs
  std::vector<FieldError> files;     ///< sources that need them are passed over; the daemon tells it and runs
};
[[nodiscard]] ConfigFaults check_machine(Fs& fs, Layout const& layout, Config const& config);
/// By which sources are known that are no servers of ours: the system's certificates where they are found, and those of `sources_ca`.
/// @errors not_found, io
[[nodiscard]] Result<std::string> load_source_cas(Fs& fs, Layout const& layout, Config const& config);

/// How the server is reached: as the owner writes, else as the environment says. @errors bad_input (bad_proxy)
[[nodiscard]] Result<net::ProxyRules> proxy_of(Config const& config);

/// agent.yaml as the daemon takes it: read, checked against the machine, its proxy filled in from the environment where it names none.
/// @errors bad_input with every mistake
[[nodiscard]] Result<Config> ready_config(Fs& fs, Layout const& layout);
/// `check-config`: the same, and what `run` would only warn of is a mistake, too.
Result<void> check_config(Fs& fs, Layout const& layout);

}  // namespace fleet::agent
