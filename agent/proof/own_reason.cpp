#include "agent/proof/own_reason.hpp"

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr auto kOfTheConfig = std::to_array<std::string_view>({"unknown_user", "unknown_program", "run_as_required", "run_as_needs_root"});

/// A way back that failed is no release's fault: there is no other.
constexpr auto kOfTheDevice = std::to_array<std::string_view>({"disk_full", "not_started", "installer_busy", "rollback_failed", "no_contact", "no_data_key", "no_memory_dir", "memory_full"});

}  // namespace

std::string reason_in_config(std::string const& code) {
  return std::find(kOfTheConfig.begin(), kOfTheConfig.end(), code) == kOfTheConfig.end() ? std::string() : code;
}

std::string own_reason(Error const& error) {
  if (std::find(kOfTheDevice.begin(), kOfTheDevice.end(), error.code) != kOfTheDevice.end()) return error.code;
  if (error.code == "read_only") return "disk_read_only";
  return error.kind == Kind::io ? "disk_failed" : reason_in_config(error.code);
}

}  // namespace fleet::agent
