#include "agent/commands/config_check.hpp"

#include "agent/proof/user.hpp"
#include "core/base/env.hpp"
#include "core/base/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fleet::agent {
namespace {

std::string fault_of_program(Fs& fs, std::string const& path) {
  auto const info = fs.info(path);
  if (!info) return info.error().detail;
  if (info->type == FileInfo::Type::directory) return fmt::format("{}: {}", path, std::strerror(EISDIR));
  if (::access(path.c_str(), X_OK) != 0) return fmt::format("{}: {}", path, std::strerror(errno));
  return {};
}

Error mistakes(Layout const& layout, std::vector<FieldError> faults) {
  return {Kind::bad_input, "bad_config", fmt::format("{}: {} {}", layout.config(), faults.front().pointer, faults.front().detail), "correct the places that are named",
          std::move(faults)};
}

}  // namespace

ConfigFaults check_machine(Fs& fs, Config const& config) {
  ConfigFaults out;
  if (!config.exec.run_as.empty())
    if (auto const user = program_user(config.exec.run_as); !user) out.users.push_back({"/exec/run_as", user.error().detail});
  for (auto const& [name, path] : config.exec.programs)
    if (auto const fault = fault_of_program(fs, path); !fault.empty()) out.programs.push_back({"/exec/programs/" + name, fault});
  return out;
}

Result<net::ProxyRules> proxy_of(Config const& config) {
  if (config.proxy) return *config.proxy;
  return net::ProxyRules::from_environment(environment);
}

Result<Config> ready_config(Fs& fs, Layout const& layout) {
  FLEET_TRY(auto config, load_config(fs, layout.config()));
  auto const faults = check_machine(fs, config);
  if (!faults.users.empty()) return mistakes(layout, faults.users);
  for (auto const& one : faults.programs) log::error("config.program_missing", {{"at", one.pointer}, {"error", one.detail}});
  FLEET_TRY(config.proxy, proxy_of(config));
  return config;
}

Result<void> check_config(Fs& fs, Layout const& layout) {
  FLEET_TRY(auto const config, load_config(fs, layout.config()));
  auto faults = check_machine(fs, config);
  faults.users.insert(faults.users.end(), faults.programs.begin(), faults.programs.end());
  return faults.users.empty() ? Result<void>{} : mistakes(layout, std::move(faults.users));
}

}  // namespace fleet::agent
