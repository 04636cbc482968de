#include "server/authorities.hpp"
#include "server/commands.hpp"
#include "server/data_dir.hpp"

#include "core/base/dir_lock.hpp"
#include "server/audit/audit.hpp"

#include <fmt/format.h>

namespace fleet::server {
namespace {

Error in_use(Error error) {
  if (error.kind == Kind::conflict) error.hint = "end the server first (SIGTERM): devices wait for it, and find it again";
  return error;
}

/// Changes the files of the CA while no server runs on them, and tells the audit log.
template <class Change>
Result<void> change_ca(std::string const& data_dir, std::string action, Change const& change) {
  auto& fs = system_fs();
  Layout const layout{data_dir};
  FLEET_CHECK(check_initialised(fs, layout));
  auto const lock = DirLock::acquire(layout.dir);
  if (!lock) return in_use(lock.error());
  FLEET_TRY(auto const store, store::Store::open(layout.dir));
  FLEET_TRY(auto const identity, load_identity(store->reader()));
  auto const now = system_clock().wall();
  FLEET_CHECK(change(fs, layout, identity.name, now));
  auto const job = [&](store::Tx& tx) {
    return audit::record(tx, {.time = now, .actor = "system:ca", .action = std::move(action), .subject = "server/" + identity.name});
  };
  FLEET_CHECK(store->write_wait(job));
  store->close();
  return {};
}

}  // namespace

Result<void> show_ca(std::string const& data_dir) {
  Layout const layout{data_dir};
  FLEET_CHECK(check_initialised(system_fs(), layout));
  FLEET_TRY(auto const all, list_authorities(system_fs(), layout));
  for (auto const& [info, state] : all)
    fmt::print("{:9}  until {}  key {}  {}\n", state, to_rfc3339(info.not_after), info.key_sha256.hex(), info.common_name);
  return {};
}

Result<void> rotate_ca(std::string const& data_dir) {
  FLEET_CHECK(change_ca(data_dir, "ca.rotated", add_successor));
  fmt::print("made the CA's successor: {0}/ca.pem holds both\n"
             "next: fleet-server run --data {0} (devices hear of it at their next poll); give people the new ca.pem; later: fleet-server ca retire --data {0}\n",
             data_dir);
  return {};
}

Result<void> retire_ca(std::string const& data_dir) {
  auto const retire = [](Fs& fs, Layout const& layout, std::string const&, SysTime) { return retire_issuer(fs, layout); };
  FLEET_CHECK(change_ca(data_dir, "ca.retired", retire));
  fmt::print("the successor issues now, and {0}/ca.pem holds it alone\nnext: fleet-server run --data {0}\n", data_dir);
  return {};
}

}  // namespace fleet::server
