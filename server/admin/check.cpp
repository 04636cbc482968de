#include "server/admin/blobs.hpp"
#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/passphrase.hpp"
#include "server/admin/scratch.hpp"

#include "server/events/audit.hpp"
#include "server/catalog/check.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/transfer/transfer.hpp"

namespace fleet::admin {
namespace {

/// Nothing before the first checkpoint was signed.
Result<std::optional<crypto::PublicKey>> audit_key(Fs& fs, Random& random, crypto::KeyFiles const& files, Layout const& layout) {
  signing::KeyRing keys(fs, random, files, layout.keys());
  auto const key = keys.get("audit");
  if (key) return std::optional(key->public_key());
  if (key.error().code == "key_offline") return std::optional<crypto::PublicKey>{};
  return key.error();
}

}  // namespace

Result<std::vector<std::string>> check(Machine const& machine, DataDir const& data) {
  auto& fs = system_fs();
  FLEET_TRY(auto const layout, find_layout(fs, data));
  FLEET_TRY(auto const files, open_keys(fs, machine.random, layout, data.passphrase_file));
  // A connection of its own that only reads: the server may run, and nothing is mended silently.
  FLEET_TRY(auto database, store::open_to_read(layout.place()));
  Scratch const scratch(fs, Scratch::name(layout, machine, "check-"));
  FLEET_TRY(auto const blobs, open_blobs(fs, machine, layout, data.blobs.credentials_file, scratch.path()));
  FLEET_CHECK(check_blobs_mark(database, *blobs));
  FLEET_TRY(auto findings, store::check(layout.place(), database));
  for (auto& finding : findings) finding.insert(0, "database: ");
  FLEET_TRY(auto const catalog, catalog::check_catalog(database, *blobs));
  findings.insert(findings.end(), catalog.begin(), catalog.end());
  FLEET_TRY(auto const key_paths, list_keys(fs, layout));
  for (auto const& path : key_paths)
    if (auto const read = files.read(path); !read) findings.push_back("keys: " + read.error().detail);
  FLEET_TRY(auto const key, audit_key(fs, machine.random, files, layout));
  auto const chain = events::verify(database, key);
  if (!chain && chain.error().kind != Kind::corrupt && chain.error().kind != Kind::signature) return chain.error();
  if (!chain) findings.push_back("audit: " + chain.error().detail);
  return findings;
}

}  // namespace fleet::admin
