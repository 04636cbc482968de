#include "agent/proof/own_reason.hpp"

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr auto kOfTheConfig = std::to_array<std::string_view>({"unknown_user", "unknown_program", "run_as_required", "run_as_needs_root"});

}  // namespace

std::string reason_in_config(std::string const& code) {
  return std::find(kOfTheConfig.begin(), kOfTheConfig.end(), code) == kOfTheConfig.end() ? std::string() : code;
}

std::string own_reason(Error const& error) {
  if (error.code == "disk_full" || error.code == "not_started") return error.code;
  if (error.code == "read_only") return "disk_read_only";
  return error.kind == Kind::io ? "disk_failed" : reason_in_config(error.code);
}

}  // namespace fleet::agent
