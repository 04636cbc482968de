#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/scratch.hpp"

#include "core/base/dir_lock.hpp"
#include "server/events/audit.hpp"
#include "server/nodes/roster.hpp"
#include "server/store/place.hpp"
#include "server/store/transfer/transfer.hpp"

#include <fmt/format.h>

namespace fleet::admin {
namespace {

/// The folder's file, out of the way but not lost.
std::string put_away(Layout const& layout) { return store::sqlite_file(layout.dir) + ".migrated"; }

/// The file goes out of the way before the other place is named: at no moment are there two.
Result<store::Transferred> to_postgres(Fs& fs, Layout const& folder, Layout const& after) {
  FLEET_TRY(auto const done, store::transfer(folder.place(), after.place()));
  FLEET_CHECK(fs.rename(store::sqlite_file(folder.dir), put_away(folder)));
  FLEET_CHECK(write_settings(fs, after));
  return done;
}

Result<store::Transferred> to_file(Fs& fs, Layout const& before, Layout const& folder) {
  Scratch const scratch(fs, folder.dir + "/migrating");
  FLEET_CHECK(fs.remove_tree(scratch.path()));  // of one that was killed: the folder is locked
  FLEET_CHECK(fs.make_dirs(scratch.path(), 0700));
  FLEET_TRY(auto const done, store::transfer(before.place(), scratch.path()));
  FLEET_CHECK(write_settings(fs, folder));
  FLEET_CHECK(fs.rename(store::sqlite_file(scratch.path()), store::sqlite_file(folder.dir)));
  FLEET_CHECK(fs.sync_dir(folder.dir));
  return done;
}

Result<void> note(Machine const& machine, Layout const& layout) {
  FLEET_TRY(auto const store, store::Store::open(layout.place(), machine.clock));
  FLEET_TRY(auto const identity, load_identity(store->reader()));
  auto const job = [&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(nodes::forget_nodes(tx));  // this folder's is the fleet's one server now; keys that they shared may be old when it comes back
    return events::record(tx, {.time = machine.clock.wall(), .actor = "system:migrate", .action = "server.migrated", .subject = "server/" + identity.name});
  };
  FLEET_CHECK(store->write_wait(store::Lane::verbs, job));
  store->close();
  return {};
}

}  // namespace

Result<void> migrate(Machine const& machine, MigrateOptions const& options) {
  auto& fs = system_fs();
  if (options.to.empty() == options.from.empty()) return Error{Kind::bad_input, "bad_arguments", "one of --to URL and --from URL is needed"};
  bool const leaves = !options.to.empty();
  auto const& url = leaves ? options.to : options.from;
  FLEET_CHECK(check_url(url));
  FLEET_TRY(auto const before, find_layout(fs, {options.data_dir, leaves ? std::string() : url}));
  if (leaves && !before.database_url.empty())
    return Error{Kind::conflict, "not_its_database", fmt::format("the database of {} is in PostgreSQL already", before.dir), "bring it back first: fleet-server migrate --data DIR --from URL"};
  FLEET_TRY(auto const lock, DirLock::acquire(fs, before.dir));
  Layout const after{before.dir, leaves ? url : std::string(), before.blobs_url};
  FLEET_TRY(auto const done, leaves ? to_postgres(fs, before, after) : to_file(fs, before, after));
  FLEET_CHECK(note(machine, after));
  fmt::print("brought {} rows of {} tables {}; each was compared\n", done.rows, done.tables, leaves ? "into PostgreSQL" : "back into " + store::sqlite_file(after.dir));
  fmt::print("{} stays as it was, and is not used any more\nnext: fleet-server run --data {}\n", leaves ? put_away(after) : "the PostgreSQL", after.dir);
  return {};
}

}  // namespace fleet::admin
