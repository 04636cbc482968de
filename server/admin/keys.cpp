#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/passphrase.hpp"

#include <fmt/format.h>

namespace fleet::admin {
namespace {

/// The first line of a file that must be named.
Result<std::string> demand_passphrase(Fs& fs, std::string const& path) {
  FLEET_TRY(auto passphrase, read_passphrase(fs, path));
  if (!passphrase) return Error{Kind::bad_input, "passphrase_needed", "no passphrase was named", "--passphrase-file FILE"};
  return *std::move(passphrase);
}

}  // namespace

Result<void> seal_keys(Machine const& machine, DataDir const& data) {
  auto& fs = system_fs();
  FLEET_TRY(auto const passphrase, demand_passphrase(fs, data.passphrase_file));
  std::ptrdiff_t count = 0;
  auto const job = [&](Layout const& layout, Identity const&, SysTime) -> Result<void> {
    if (!fs.info(layout.master_key())) FLEET_CHECK(crypto::KeyFiles::create(fs, machine.random, layout.master_key(), passphrase));
    FLEET_TRY(auto const files, crypto::KeyFiles::open(fs, machine.random, layout.master_key(), passphrase));
    FLEET_TRY(auto const paths, list_keys(fs, layout));
    for (auto const& path : paths) {
      FLEET_TRY(bool const was_plain, files.seal_plain(path));
      count += was_plain ? 1 : 0;
    }
    return {};
  };
  FLEET_CHECK(change_stopped(machine, data, "system:keys", "keys.sealed", job));
  fmt::print(
      "sealed {} private keys; older backups, and what the disk keeps of deleted files, still hold them plain\n"
      "next: fleet-server run --data {} --passphrase-file {}\n",
      count, data.path, data.passphrase_file);
  return {};
}

Result<void> change_passphrase(Machine const& machine, DataDir const& data, std::string const& new_passphrase_file) {
  auto& fs = system_fs();
  FLEET_TRY(auto const next, demand_passphrase(fs, new_passphrase_file));
  auto const job = [&](Layout const& layout, Identity const&, SysTime) -> Result<void> {
    FLEET_TRY(auto const files, open_keys(fs, machine.random, layout, data.passphrase_file));
    return files.change_passphrase(layout.master_key(), next);
  };
  FLEET_CHECK(change_stopped(machine, data, "system:keys", "keys.passphrase_changed", job));
  fmt::print("the keys open with the new passphrase; older backups with the one before\nnext: fleet-server run --data {} --passphrase-file {}\n", data.path,
             new_passphrase_file);
  return {};
}

}  // namespace fleet::admin
