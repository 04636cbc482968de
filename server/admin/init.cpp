#include "server/admin/authorities.hpp"
#include "server/admin/blobs.hpp"
#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/passphrase.hpp"
#include "server/admin/queries.hpp"
#include "server/admin/scratch.hpp"

#include "core/base/names.hpp"
#include "core/base/random.hpp"
#include "core/crypto/hash.hpp"
#include "server/blobs/store/open.hpp"
#include "server/events/audit.hpp"
#include "server/signing/key_ring.hpp"
#include "server/signing/repository.hpp"
#include "server/store/transfer/transfer.hpp"

#include <fmt/format.h>

namespace fleet::admin {
namespace {

/// Writes DIR/admin.token and returns the row that stands for it.
Result<Digest> make_admin_token(Fs& fs, Random& random, Layout const& layout) {
  Bytes secret(32);
  random.fill(secret);
  auto const token = "flt_" + to_base64url(secret);
  FLEET_CHECK(fs.replace(layout.admin_token(), token + "\n", 0600));
  return crypto::sha256(token);
}

Result<void> fill_database(store::Tx& tx, blobs::BlobStore& store, signing::KeyRing& keys, InitOptions const& options, Digest const& token, Machine const& machine, SysTime now) {
  // Another may have come first: from here on we are alone on the database.
  auto known = tx.prepare(kGetSetting);
  FLEET_TRY(bool const taken, known.bind_all("server_name").step());
  if (taken) return Error{Kind::conflict, "database_not_empty", "the database holds a fleet already", "name an empty one"};
  FLEET_CHECK(mark_blobs(tx, store, machine));
  FLEET_CHECK(save_identity(tx, {options.name, options.hosts}));
  FLEET_CHECK(signing::create_repositories(tx, keys, now));
  auto const token_id = make_ulid("tok-", to_unix_ms(now), machine.random);
  FLEET_CHECK(tx.prepare(kInsertAdminToken).bind_all(token_id, token, to_unix_ms(now)).run());
  return events::record(tx, {.time = now, .actor = "system:init", .action = "server.initialised", .subject = "server/" + options.name});
}

}  // namespace

Result<void> init(Machine const& machine, InitOptions const& options) {
  auto& fs = system_fs();
  auto const now = machine.clock.wall();
  Layout const layout{options.data_dir, options.database, options.blobs.url};
  FLEET_CHECK(check_id("name", options.name));
  FLEET_TRY(auto const passphrase, read_passphrase(fs, options.passphrase_file));
  FLEET_TRY(auto const ca, crypto::make_ca("fleet CA of " + options.name, now - std::chrono::hours{1}, now + kCaLifetime));
  // A wrong host is told before anything is made.
  FLEET_CHECK(crypto::make_server_certificate(ca, options.hosts, now, now + kCaLifetime));
  if (!options.database.empty()) FLEET_CHECK(check_url(options.database));
  if (!options.blobs.url.empty()) FLEET_CHECK(blobs::check_url(options.blobs.url));
  FLEET_CHECK(store::check_empty(layout.place()));
  FLEET_CHECK(claim_empty_dir(fs, layout.dir));
  Unfinished unfinished(fs, layout.dir);
  FLEET_CHECK(fs.make_dirs(layout.keys(), 0700));
  if (passphrase) FLEET_CHECK(crypto::KeyFiles::create(fs, machine.random, layout.master_key(), *passphrase));
  FLEET_TRY(auto const files, crypto::KeyFiles::open(fs, machine.random, layout.master_key(), passphrase));

  FLEET_CHECK(files.write(layout.ca_key(), ca.private_key));
  FLEET_TRY(auto const identity, make_server_identity(fs, files, layout, ca, options.hosts, {now}));
  FLEET_TRY(auto const token, make_admin_token(fs, machine.random, layout));

  signing::KeyRing keys(fs, machine.random, files, layout.keys());
  FLEET_TRY(auto const store, store::Store::open(layout.place(), machine.clock));
  FLEET_TRY(auto const blobs, open_blobs(fs, machine, layout, options.blobs.credentials_file, layout.blobs_scratch()));
  auto const job = [&](store::Tx& tx) { return fill_database(tx, *blobs, keys, options, token, machine, now); };
  FLEET_CHECK(store->write_wait(store::Lane::verbs, job));
  store->close();
  FLEET_CHECK(write_settings(fs, layout));
  // Last: `run` takes a folder without it for one that was never finished.
  FLEET_CHECK(fs.replace(layout.ca_certificate(), ca.certificate, 0644));
  unfinished.finished();

  fmt::print("made {}: {} keys, CA, database\n  CA for clients and devices  {}\n  token of the first admin    {}\nnext: fleet-server run --data {}{}\n",
             layout.dir, files.sealed() ? "sealed" : "plain", layout.ca_certificate(), layout.admin_token(), layout.dir,
             files.sealed() ? " --passphrase-file " + options.passphrase_file : "");
  return {};
}

}  // namespace fleet::admin
