#include "agent/commands/config_check.hpp"

#include "core/base/env.hpp"
#include "core/base/log.hpp"
#include "core/crypto/certificates.hpp"
#include "core/proof/user.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kCasBytesMax = 4 * 1024 * 1024;
/// Where systems keep the certificates of all CAs in one file: Debian, Alpine and Yocto; Red Hat; SUSE; BSD.
constexpr auto kSystemCas = std::to_array<std::string_view>(
    {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"});

std::string source_ca_path(Layout const& layout, Config const& config) {
  return config.sources_ca.starts_with('/') ? config.sources_ca : layout.root + "/" + config.sources_ca;
}

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

Result<std::string> load_source_cas(Fs& fs, Layout const& layout, Config const& config) {
  std::string out;
  for (auto const path : kSystemCas)
    if (auto text = fs.read(std::string(path), kCasBytesMax)) {
      out = *std::move(text) + "\n";
      break;
    }
  if (config.sources_ca.empty()) return out;
  FLEET_TRY(auto const own, fs.read(source_ca_path(layout, config), kCasBytesMax));
  return out + own;
}

ConfigFaults check_machine(Fs& fs, Layout const& layout, Config const& config) {
  ConfigFaults out;
  if (!config.exec.run_as.empty())
    if (auto const user = proof::program_user(config.exec.run_as); !user) out.users.push_back({"/exec/run_as", user.error().detail});
  for (auto const& [name, path] : config.exec.programs)
    if (auto const fault = fault_of_program(fs, path); !fault.empty()) out.programs.push_back({"/exec/programs/" + name, fault});
  if (config.sources_ca.empty()) return out;
  auto const pem = fs.read(source_ca_path(layout, config), kCasBytesMax);
  if (!pem) out.files.push_back({"/sources_ca", pem.error().detail});
  else if (crypto::split_certificates(*pem).empty()) out.files.push_back({"/sources_ca", source_ca_path(layout, config) + ": no certificate in PEM"});
  return out;
}

Result<net::ProxyRules> proxy_of(Config const& config) {
  if (config.proxy) return *config.proxy;
  return net::ProxyRules::from_environment(environment);
}

Result<Config> ready_config(Fs& fs, Layout const& layout) {
  FLEET_TRY(auto config, load_config(fs, layout.config()));
  auto const faults = check_machine(fs, layout, config);
  if (!faults.users.empty()) return mistakes(layout, faults.users);
  for (auto const& one : faults.programs) log::error("config.program_missing", {{"at", one.pointer}, {"error", one.detail}});
  for (auto const& one : faults.files) log::error("config.file_missing", {{"at", one.pointer}, {"error", one.detail}});
  FLEET_TRY(config.proxy, proxy_of(config));
  return config;
}

Result<void> check_config(Fs& fs, Layout const& layout) {
  FLEET_TRY(auto const config, load_config(fs, layout.config()));
  auto faults = check_machine(fs, layout, config);
  for (auto const& more : {faults.programs, faults.files}) faults.users.insert(faults.users.end(), more.begin(), more.end());
  return faults.users.empty() ? Result<void>{} : mistakes(layout, std::move(faults.users));
}

}  // namespace fleet::agent
