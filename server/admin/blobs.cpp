#include "server/admin/blobs.hpp"

#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/queries.hpp"
#include "server/admin/scratch.hpp"

#include "core/base/dir_lock.hpp"
#include "server/blobs/store/open.hpp"
#include "server/events/audit.hpp"

#include <fmt/format.h>

#include <atomic>

namespace fleet::admin {
namespace {

constexpr auto const* kMark = "blobs_mark";
constexpr std::size_t kAtOnce = 4;
constexpr std::string_view kLocal = "local";

Result<std::string> known_mark(db::Connection& reader) {
  auto row = reader.prepare(kGetSetting);
  FLEET_TRY(bool const found, row.bind_all(kMark).step());
  return found ? row.text(0) : std::string();
}

Error not_its_blobs(std::string detail, std::string hint) { return {Kind::conflict, "not_its_blobs", std::move(detail), std::move(hint)}; }

/// What every blob of the database is called where it lies.
Result<std::vector<blobs::Name>> list_blobs(db::Connection& reader) {
  std::vector<blobs::Name> out;
  auto rows = reader.prepare(kListBlobs);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back({rows.digest(0), static_cast<std::uint64_t>(rows.int64(1)), rows.text(2)});
  }
}

Result<void> move_one(blobs::BlobStore& from, blobs::BlobStore& to, blobs::Name const& there, blobs::Name const& here) {
  FLEET_TRY(auto const bytes, from.fetch(there));
  // A folder's bytes were never looked at on the way.
  FLEET_TRY(auto const found, crypto::sha256_file(system_fs(), bytes.path));
  if (found.sha256 != there.sha256) return Error{Kind::corrupt, "blob_lost", fmt::format("blob {} has bytes of digest {}", there.sha256.hex(), found.sha256.hex()), "restore a backup"};
  return to.put_file(here, bytes.path);
}

}  // namespace

Result<std::unique_ptr<blobs::BlobStore>> open_blobs(Fs& fs, Machine const& machine, Layout const& layout, std::string const& credentials_file, std::string const& scratch,
                                                     std::uint64_t copies_max) {
  return blobs::open(layout.blobs_url, {fs, machine.clock, machine.random, layout.dir, scratch, copies_max, credentials_file});
}

Result<bool> check_blobs_mark(db::Connection& reader, blobs::BlobStore& store) {
  auto row = reader.prepare(kLiesThere);
  FLEET_TRY(bool const elsewhere, row.bind(1, store.is_shared() ? std::int64_t{1} : std::int64_t{0}).step());
  if (elsewhere)
    return Error{Kind::conflict, "blobs_elsewhere", store.is_shared() ? "the blobs of this database lie in DIR/blobs, and another store is named" : "the blobs of this database lie in a store that is not named",
                 store.is_shared() ? "bring them there: fleet-server migrate --data DIR --blobs URL; or take blobs: out of DIR/server.yaml" : "name it by --blobs"};
  if (!store.is_shared()) return false;
  FLEET_TRY(auto const known, known_mark(reader));
  auto const found = store.read_mark();
  if (!found && found.error().kind != Kind::not_found) return found.error();
  if (known.empty() && !found) return false;
  if (!found) return not_its_blobs("the store of blobs does not bear this fleet's mark (fleet-blobs)", "look at the bucket and its prefix, or whether the folder is mounted");
  if (*found != known) return not_its_blobs("the store of blobs is another fleet's: its mark (fleet-blobs) is not the one that the database knows", "name another bucket, prefix or folder");
  return true;
}

Result<void> mark_blobs(store::Tx& tx, blobs::BlobStore& store, Machine const& machine) {
  if (!store.is_shared()) return tx.prepare(kForgetSetting).bind_all(kMark).run();
  FLEET_TRY(auto known, known_mark(tx.connection()));
  auto const found = store.read_mark();
  if (!found && found.error().kind != Kind::not_found) return found.error();
  if (found && !known.empty() && *found == known) return {};
  if (found)
    return not_its_blobs("the store of blobs bears another fleet's mark (fleet-blobs)", "name another bucket, prefix or folder; or remove that object, where an init or restore was cut");
  if (known.empty()) known = make_ulid("blobs-", to_unix_ms(machine.clock.wall()), machine.random);
  FLEET_CHECK(store.mark(known));
  return tx.prepare(kSetSetting).bind_all(kMark, known).run();
}

Result<std::size_t> move_blobs(store::Store& database, blobs::BlobStore& from, blobs::BlobStore& to, Machine const& machine) {
  FLEET_TRY(auto const there, list_blobs(database.reader()));
  auto here = there;
  // From one shared store to another names stay: at whatever point it is cut, the rows are good for one that is named.
  for (auto& name : here)
    if (!to.is_shared()) name.generation.clear();
    else if (name.generation.empty()) name.generation = make_ulid("", to_unix_ms(machine.clock.wall()), machine.random);
  FLEET_CHECK(blobs::in_parallel(kAtOnce, there.size(), [&](std::size_t i) { return move_one(from, to, there[i], here[i]); }));
  auto const job = [&](store::Tx& tx) -> Result<void> {
    for (auto const& name : here) FLEET_CHECK(tx.prepare(kSetGeneration).bind_all(name.sha256, name.generation).run());
    FLEET_CHECK(tx.prepare(kForgetLeftovers).run());
    FLEET_CHECK(tx.prepare(kForgetRemovals).run());
    return tx.prepare(kDropOpenUploads).run();  // what has come of them stays behind
  };
  FLEET_CHECK(database.write_wait(store::Lane::verbs, job));
  return here.size();
}

Result<void> migrate_blobs(Machine const& machine, MigrateOptions const& options) {
  auto& fs = system_fs();
  auto const& url = options.blobs.url;
  if (url != kLocal) FLEET_CHECK(blobs::check_url(url));
  FLEET_TRY(auto const before, find_layout(fs, {options.data_dir}));
  FLEET_TRY(auto const lock, DirLock::acquire(fs, before.dir));
  auto after = before;
  after.blobs_url = url == kLocal ? std::string() : url;
  if (after.blobs_url == before.blobs_url) return Error{Kind::conflict, "same_blobs", "the blobs lie there already"};
  Scratch const scratch(fs, Scratch::name(before, machine, "moving-")), other(fs, Scratch::name(before, machine, "moved-"));
  FLEET_TRY(auto const database, store::Store::open(before.place(), machine.clock));
  FLEET_TRY(auto const from, open_blobs(fs, machine, before, options.blobs.credentials_file, scratch.path()));
  FLEET_TRY(auto const to, open_blobs(fs, machine, after, options.blobs.credentials_file, other.path()));
  FLEET_CHECK(check_blobs_mark(database->reader(), *from));
  FLEET_TRY(auto const identity, load_identity(database->reader()));
  auto const begin = [&](store::Tx& tx) { return mark_blobs(tx, *to, machine); };
  FLEET_CHECK(database->write_wait(store::Lane::verbs, begin));
  FLEET_TRY(auto const moved, move_blobs(*database, *from, *to, machine));
  FLEET_CHECK(write_settings(fs, after));
  auto const note = [&](store::Tx& tx) { return events::record(tx, {.time = machine.clock.wall(), .actor = "system:migrate", .action = "server.blobs_moved", .subject = "server/" + identity.name}); };
  FLEET_CHECK(database->write_wait(store::Lane::verbs, note));
  database->close();
  fmt::print("brought {} blobs; each was checked by its digest\nwhere they were they stay, and are not used any more\nnext: fleet-server run --data {}\n", moved, after.dir);
  return {};
}

}  // namespace fleet::admin
