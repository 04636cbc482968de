#include "server/admin/authorities.hpp"
#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/passphrase.hpp"

#include <fmt/format.h>

namespace fleet::admin {
namespace {

using Change = Result<void> (*)(Fs&, crypto::KeyFiles const&, Layout const&, std::string const& name, SysTime);

Result<void> change_ca(Machine const& machine, DataDir const& data, std::string const& action, Change change) {
  auto& fs = system_fs();
  auto const job = [&](Layout const& layout, Identity const& identity, SysTime now) -> Result<void> {
    FLEET_TRY(auto const keys, open_keys(fs, machine.random, layout, data.passphrase_file));
    return change(fs, keys, layout, identity.name, now);
  };
  return change_stopped(machine, data, "system:ca", action, job);
}

}  // namespace

Result<void> show_ca(Machine const& machine, DataDir const& data) {
  FLEET_TRY(auto const layout, find_layout(system_fs(), data));
  FLEET_TRY(auto const keys, open_keys(system_fs(), machine.random, layout, data.passphrase_file));
  FLEET_TRY(auto const all, list_authorities(system_fs(), keys, layout));
  for (auto const& [info, state] : all) fmt::print("{:9}  until {}  key {}  {}\n", state, to_rfc3339(info.not_after), info.key_sha256.hex(), info.common_name);
  return {};
}

Result<void> rotate_ca(Machine const& machine, DataDir const& data) {
  FLEET_CHECK(change_ca(machine, data, "ca.rotated", add_successor));
  fmt::print(
      "made the CA's successor: {0}/ca.pem holds both\n"
      "next: fleet-server run --data {0} (devices hear of it at their next poll); give people the new ca.pem; later: fleet-server ca retire --data {0}\n",
      data.path);
  return {};
}

Result<void> retire_ca(Machine const& machine, DataDir const& data) {
  auto const retire = [](Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, std::string const&, SysTime) { return retire_issuer(fs, keys, layout); };
  FLEET_CHECK(change_ca(machine, data, "ca.retired", retire));
  fmt::print("the successor issues now, and {0}/ca.pem holds it alone\nnext: fleet-server run --data {0}\n", data.path);
  return {};
}

}  // namespace fleet::admin
