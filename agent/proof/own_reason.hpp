#pragma once

#include "core/base/result.hpp"

#include <string>

namespace fleet::agent {

/// What a program that the agent asks ends with where it may answer later (EX_TEMPFAIL of sysexits.h).
inline constexpr int kAgainLater = 75;

/// Why an update waits when this device, and not its release, is at fault: the error's code, or `disk_full`, `disk_read_only`, `disk_failed`; empty: no
/// error of the device's own. What it names passes when somebody mends the device, so that it is never the end of an update.
[[nodiscard]] std::string own_reason(Error const& error);
/// The same of what stands in agent.yaml alone: what a release that runs cannot have brought about.
[[nodiscard]] std::string reason_in_config(std::string const& code);

}  // namespace fleet::agent
