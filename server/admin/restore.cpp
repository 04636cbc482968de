#include "server/admin/archive.hpp"
#include "server/admin/authorities.hpp"
#include "server/admin/blobs.hpp"
#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/passphrase.hpp"
#include "server/admin/queries.hpp"
#include "server/admin/scratch.hpp"

#include "server/blobs/store/open.hpp"
#include "server/events/audit.hpp"
#include "server/nodes/roster.hpp"
#include "server/signing/key_ring.hpp"
#include "server/signing/repository.hpp"
#include "server/rollout/shell/restored.hpp"
#include "server/store/place.hpp"
#include "server/store/transfer/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::admin {
namespace {

Result<void> extract_all(ArchiveReader& archive, Layout const& layout) {
  for (auto const& entry : archive.entries()) {
    // The CA's certificate marks a finished folder: it takes its name last.
    auto const path = layout.dir + "/" + entry.name + (entry.name == "ca.pem" ? ".restoring" : "");
    FLEET_CHECK(archive.extract(entry, path));
  }
  return archive.finish();
}

/// docs/protocol.md, Restore: whatever the lost server signed after the backup must be older than what this one signs.
Result<void> recover(store::Tx& tx, signing::KeyRing& keys, SysTime now) {
  FLEET_CHECK(signing::recover_versions(tx, keys, now));
  FLEET_CHECK(raise_announcement(tx, now));
  FLEET_CHECK(tx.prepare(kRaiseSequences).bind(1, std::chrono::floor<seconds>(now).time_since_epoch().count()).run());
  FLEET_CHECK(tx.prepare(kDropOpenUploads).run());  // their bytes are not in a backup
  FLEET_CHECK(rollout::hold_restored(tx, now));
  FLEET_CHECK(nodes::forget_nodes(tx));  // the servers of before
  return events::record(tx, {.time = now, .actor = "system:restore", .action = "server.restored", .subject = "server"});
}

/// Roles whose keys lie elsewhere: this server cannot sign them anew.
Result<std::vector<std::string>> offline_roles(db::Connection& reader, signing::KeyRing& keys) {
  std::vector<std::string> offline;
  auto rows = reader.prepare(kListRoles);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return offline;
    if (auto const key = keys.get(rows.text(0)); !key && key.error().code == "key_offline") offline.push_back(rows.text(0));
  }
}

/// A backup holds the database as a file, whatever engine it came from.
Result<void> place_database(Fs& fs, Layout const& layout) {
  if (layout.database_url.empty()) return {};
  FLEET_CHECK(store::transfer(layout.dir, layout.database_url));
  return fs.remove(store::sqlite_file(layout.dir));
}

/// A backup holds blobs as files, wherever they lay.
Result<void> place_blobs(Machine const& machine, store::Store& database, Layout const& layout, BackupOptions const& options) {
  auto& fs = system_fs();
  auto const unpacked = blobs::in_folder(fs, layout.dir, false);
  auto const as_files = [&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(tx.prepare(kForgetGenerations).run());
    return tx.prepare(kForgetLeftovers).run();
  };
  FLEET_CHECK(database.write_wait(store::Lane::verbs, as_files));
  if (layout.blobs_url.empty()) return {};
  Scratch const scratch(fs, Scratch::name(layout, machine, "restoring-"));
  FLEET_TRY(auto const to, open_blobs(fs, machine, layout, options.blobs.credentials_file, scratch.path()));
  auto const mark = [&](store::Tx& tx) { return mark_blobs(tx, *to, machine); };
  FLEET_CHECK(database.write_wait(store::Lane::verbs, mark));
  FLEET_CHECK(move_blobs(database, *unpacked, *to, machine));
  return fs.remove_tree(layout.dir + "/blobs");
}

/// @returns the roles whose keys lie elsewhere
Result<std::vector<std::string>> recover_store(Machine const& machine, Layout const& layout, signing::KeyRing& keys, BackupOptions const& options, SysTime now) {
  FLEET_TRY(auto const store, store::Store::open(layout.place(), machine.clock));
  FLEET_CHECK(place_blobs(machine, *store, layout, options));
  auto const job = [&](store::Tx& tx) { return recover(tx, keys, now); };
  FLEET_CHECK(store->write_wait(store::Lane::verbs, job));
  FLEET_TRY(auto offline, offline_roles(store->reader(), keys));
  store->close();
  return offline;
}

}  // namespace

Result<void> restore(Machine const& machine, BackupOptions const& options) {
  auto& fs = system_fs();
  auto const now = machine.clock.wall();
  Layout const layout{options.data_dir, options.database, options.blobs.url};
  FLEET_TRY(auto const passphrase, read_passphrase(fs, options.passphrase_file));
  FLEET_TRY(auto archive, ArchiveReader::open(fs, options.file, passphrase));
  if (!options.database.empty()) FLEET_CHECK(check_url(options.database));
  if (!options.blobs.url.empty()) FLEET_CHECK(blobs::check_url(options.blobs.url));
  FLEET_CHECK(store::check_empty(layout.place()));
  FLEET_CHECK(claim_empty_dir(fs, layout.dir));
  Unfinished unfinished(fs, layout.dir);
  FLEET_CHECK(extract_all(archive, layout));
  FLEET_CHECK(place_database(fs, layout));
  FLEET_TRY(auto const files, open_keys(fs, machine.random, layout, options.keys_passphrase_file));
  signing::KeyRing keys(fs, machine.random, files, layout.keys());
  FLEET_TRY(auto const offline, recover_store(machine, layout, keys, options, now));
  FLEET_CHECK(write_settings(fs, layout));
  FLEET_CHECK(fs.rename(layout.ca_certificate() + ".restoring", layout.ca_certificate()));
  FLEET_CHECK(fs.sync_dir(layout.dir));
  unfinished.finished();

  fmt::print("restored {} files to {}; metadata and directives continue above what the lost server can have signed\n", archive.entries().size(), layout.dir);
  fmt::print("what ran is paused, and no device is sent back: once devices have polled, fleetctl doctor lists what differs\n");
  for (auto const& role : offline) fmt::print("import again: role {} (its key is kept offline)\n", role);
  fmt::print("next: fleet-server run --data {}{}\n", layout.dir, files.sealed() ? " --passphrase-file " + options.keys_passphrase_file : "");
  return {};
}

}  // namespace fleet::admin
