#include "server/admin/authorities.hpp"
#include "server/admin/blobs.hpp"
#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/node_keys.hpp"
#include "server/admin/passphrase.hpp"
#include "server/admin/scratch.hpp"
#include "server/blobs/store/open.hpp"

#include "core/base/dir_lock.hpp"
#include "core/crypto/sealed.hpp"
#include "server/events/audit.hpp"
#include "server/nodes/identity.hpp"
#include "server/nodes/roster.hpp"
#include "server/signing/key_ring.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::admin {
namespace {

Error not_shared(Layout const& layout) {
  return {Kind::conflict, "not_shared", fmt::format("the database of {} is a file, which has one server", layout.dir), "bring it into a PostgreSQL first: fleet-server migrate --data DIR --to URL"};
}

Result<std::string> demand(Fs& fs, std::string const& file) {
  FLEET_TRY(auto passphrase, read_passphrase(fs, file));
  if (!passphrase) return Error{Kind::bad_input, "passphrase_needed", "keys travel sealed, and no passphrase was named", "--passphrase-file FILE"};
  return *std::move(passphrase);
}

Result<void> put_keys(crypto::KeyFiles const& files, Fs& fs, Layout const& layout, NodeKeys const& keys) {
  for (auto const& [name, text] : keys.files) FLEET_CHECK(files.write(layout.dir + "/" + name, text));
  // What was taken back meanwhile must not stay.
  if (!keys.files.contains("ca-next.key"))
    if (auto const gone = fs.remove(layout.next_ca_key()); !gone && gone.error().kind != Kind::not_found) return gone;
  return {};
}

/// A database that this folder's keys belong to, and this node in it.
Result<void> enter(Machine const& machine, Layout const& layout, std::string const& blobs_credentials, crypto::KeyFiles const& files, nodes::Identity const& node) {
  signing::KeyRing ring(system_fs(), machine.random, files, layout.keys());
  FLEET_TRY(auto const store, store::Store::open(layout.place(), machine.clock, node.id));
  FLEET_CHECK(check_pair(store->reader(), ring));
  FLEET_TRY(auto const blobs, open_blobs(system_fs(), machine, layout, blobs_credentials, layout.blobs_scratch()));
  FLEET_TRY(bool const shared, check_blobs_mark(store->reader(), *blobs));
  if (!shared)
    return Error{Kind::conflict, "blobs_not_shared", "the blobs of this fleet lie in the folder of one server", "bring them to where all servers find them: fleet-server migrate --data DIR --blobs URL; then join with --blobs URL"};
  auto const now = machine.clock.wall();
  auto const job = [&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(nodes::add_node(tx, node.id, nodes::host_name(), now));
    return events::record(tx, {.time = now, .actor = "system:node", .action = "node.joined", .subject = "node/" + node.id});
  };
  FLEET_CHECK(store->write_wait(store::Lane::verbs, job));
  store->close();
  return {};
}

/// Keys and certificates of a folder that is a node already, as the fleet has them now.
Result<void> renew(Machine const& machine, NodeJoin const& options, NodeKeys const& keys) {
  auto& fs = system_fs();
  FLEET_TRY(auto const layout, find_layout(fs, {options.data_dir, options.database, {}, options.blobs}));
  FLEET_TRY(auto const lock, DirLock::acquire(fs, layout.dir));
  FLEET_TRY(auto const node, nodes::load_identity(fs, layout.node()));
  if (!node || layout.database_url.empty()) return Error{Kind::conflict, "not_a_node", layout.dir + " is no node's folder", "join with a new one, without --again"};
  FLEET_TRY(auto const files, open_keys(fs, machine.random, layout, options.keys_passphrase_file));
  FLEET_CHECK(put_keys(files, fs, layout, keys));
  FLEET_CHECK(enter(machine, layout, options.blobs.credentials_file, files, *node));
  FLEET_CHECK(fs.replace(layout.ca_certificate(), keys.ca, 0644));
  fmt::print("{} has the keys of now\nnext: fleet-server run --data {}\n", node->id, layout.dir);
  return {};
}

}  // namespace

Result<void> export_node_keys(Machine const& machine, NodeExport const& options) {
  auto& fs = system_fs();
  FLEET_TRY(auto const layout, find_layout(fs, options.data));
  if (layout.database_url.empty()) return not_shared(layout);
  FLEET_TRY(auto const passphrase, demand(fs, options.passphrase_file));
  if (fs.info(options.file)) return Error{Kind::conflict, "file_exists", options.file + " exists", "name another, or remove it"};
  FLEET_TRY(auto const files, open_keys(fs, machine.random, layout, options.data.passphrase_file));
  signing::KeyRing ring(fs, machine.random, files, layout.keys());
  // A folder that never ran on its database yet has not made them.
  for (auto const* const role : {"node", "audit", "data"}) FLEET_CHECK(ring.get_or_create(role));
  FLEET_TRY(auto const keys, read_node_keys(fs, files, layout));
  FLEET_TRY(auto const sealed, crypto::seal(as_bytes(encode(keys)), passphrase, machine.random));
  FLEET_CHECK(fs.replace(options.file, as_text(sealed), 0600));
  fmt::print("{}: {} keys and the CA, sealed. Whoever opens it can sign for this fleet: carry it to the new node, and remove it\nnext, there: fleet-server node join --data DIR --database URL --keys {} --passphrase-file FILE\n",
             options.file, keys.files.size(), options.file);
  return {};
}

Result<void> join_node(Machine const& machine, NodeJoin const& options) {
  auto& fs = system_fs();
  FLEET_TRY(auto const passphrase, demand(fs, options.passphrase_file));
  FLEET_TRY(auto const sealed, fs.read(options.keys_file, kNodeKeysMax));
  FLEET_TRY(auto const plain, crypto::unseal(as_bytes(sealed), passphrase));
  FLEET_TRY(auto const keys, decode_node_keys(as_text(plain)));
  if (options.again) return renew(machine, options, keys);
  FLEET_CHECK(check_url(options.database));
  Layout const layout{options.data_dir, options.database, options.blobs.url};
  if (!options.blobs.url.empty()) FLEET_CHECK(blobs::check_url(options.blobs.url));
  FLEET_TRY(auto const own_passphrase, read_passphrase(fs, options.keys_passphrase_file));
  FLEET_CHECK(claim_empty_dir(fs, layout.dir));
  Unfinished unfinished(fs, layout.dir);
  FLEET_CHECK(fs.make_dirs(layout.keys(), 0700));
  if (own_passphrase) FLEET_CHECK(crypto::KeyFiles::create(fs, machine.random, layout.master_key(), *own_passphrase));
  FLEET_TRY(auto const files, crypto::KeyFiles::open(fs, machine.random, layout.master_key(), own_passphrase));
  FLEET_CHECK(put_keys(files, fs, layout, keys));
  nodes::Identity const node{nodes::make_id(machine.clock.wall(), machine.random), options.hosts};
  FLEET_CHECK(nodes::save_identity(fs, layout.node(), node));
  FLEET_CHECK(write_settings(fs, layout));
  FLEET_CHECK(enter(machine, layout, options.blobs.credentials_file, files, node));
  FLEET_CHECK(fs.replace(layout.ca_certificate(), keys.ca, 0644));  // last: `run` takes a folder without it for one that was never finished
  unfinished.finished();
  fmt::print("{} joined, in {}\nnext: fleet-server run --data {}{}\n", node.id, layout.dir, layout.dir, files.sealed() ? " --passphrase-file " + options.keys_passphrase_file : "");
  return {};
}

Result<void> leave_node(Machine const& machine, NodeLeave const& options) {
  auto& fs = system_fs();
  FLEET_TRY(auto const layout, find_layout(fs, options.data));
  if (layout.database_url.empty()) return not_shared(layout);
  FLEET_TRY(auto const node, nodes::load_identity(fs, layout.node()));
  if (!node) return Error{Kind::conflict, "not_a_node", layout.dir + " is no node's folder"};
  bool const self = options.id.empty() || options.id == node->id;
  std::optional<DirLock> lock;
  if (self) {
    FLEET_TRY(lock, DirLock::acquire(fs, layout.dir));
  }
  auto const gone = self ? node->id : options.id;
  // As the node that goes: where that one still runs, it is told so.
  FLEET_TRY(auto const store, store::Store::open(layout.place(), machine.clock, gone));
  auto const now = machine.clock.wall();
  auto const job = [&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto const known, nodes::list_nodes(tx.connection()));
    if (known.size() == 1 && known.front().id == gone) return Error{Kind::conflict, "last_node", "it is the fleet's only server", "to end the fleet, remove the folder and the database"};
    FLEET_CHECK(nodes::remove_node(tx, gone));
    return events::record(tx, {.time = now, .actor = "system:node", .action = "node.left", .subject = "node/" + gone});
  };
  FLEET_CHECK(store->write_wait(store::Lane::verbs, job));
  store->close();
  if (self) {  // what could still sign for the fleet
    FLEET_CHECK(fs.remove_tree(layout.keys()));
    for (auto const& file : {layout.ca_key(), layout.next_ca_key(), layout.server_key()})
      if (auto const removed = fs.remove(file); !removed && removed.error().kind != Kind::not_found) return removed;
  }
  fmt::print("{} is no node any more{}\n", gone, self ? "; its private keys are removed from " + layout.dir : "");
  return {};
}

}  // namespace fleet::admin
