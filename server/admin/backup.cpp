#include "server/admin/archive.hpp"
#include "server/admin/blobs.hpp"
#include "server/admin/commands.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/passphrase.hpp"
#include "server/admin/queries.hpp"
#include "server/admin/scratch.hpp"

#include "server/store/transfer/transfer.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <fmt/format.h>

#include <array>

namespace fleet::admin {
namespace {

constexpr std::uint64_t kSmallFile = 1 << 20;

/// A file to back up: its entry, and its bytes, or where they lie. What a running server may replace at any moment (certificates, keys) is read
/// once and held; blobs and the copy of the database do not change.
struct Source {
  ArchiveEntry entry;
  std::string path;
  std::optional<std::string> content;
  std::optional<blobs::Name> blob = {};  ///< wherever it lies
};

Result<void> add_small(Fs& fs, std::string const& name, std::string const& path, unsigned permissions, std::vector<Source>& sources) {
  FLEET_TRY(auto content, fs.read(path, kSmallFile));
  ArchiveEntry entry{name, content.size(), crypto::sha256(content), permissions};
  sources.push_back({std::move(entry), path, std::move(content)});
  return {};
}

Result<void> add_database(Fs& fs, std::string const& path, std::vector<Source>& sources) {
  FLEET_TRY(auto const digest, crypto::sha256_file(fs, path));
  sources.push_back({{"fleet.db", digest.size, digest.sha256, 0600}, path, std::nullopt});
  return {};
}

Result<void> add_identity(Fs& fs, Layout const& layout, std::vector<Source>& sources) {
  FLEET_CHECK(add_small(fs, "ca.pem", layout.ca_certificate(), 0644, sources));
  FLEET_CHECK(add_small(fs, "server.pem", layout.server_certificate(), 0644, sources));
  // People are told to put the first token away.
  if (fs.info(layout.admin_token())) FLEET_CHECK(add_small(fs, "admin.token", layout.admin_token(), 0600, sources));
  // As they lie there: keys that are sealed stay sealed.
  if (fs.info(layout.master_key())) FLEET_CHECK(add_small(fs, layout.master_key().substr(layout.dir.size() + 1), layout.master_key(), 0600, sources));
  FLEET_TRY(auto const keys, list_keys(fs, layout));
  for (auto const& path : keys) FLEET_CHECK(add_small(fs, path.substr(layout.dir.size() + 1), path, 0600, sources));
  return {};
}

// The blobs that this copy of the database knows: later ones belong to a later backup.
Result<void> add_blobs(std::string const& database, std::vector<Source>& sources) {
  FLEET_TRY(auto copy, sqlite::open(database, sqlite::Mode::read_only));
  auto rows = copy.prepare(kListBlobs);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    blobs::Name name{rows.digest(0), static_cast<std::uint64_t>(rows.int64(1)), rows.text(2)};
    // In the archive they have no generation: where they are restored, all is new.
    sources.push_back({{blobs::relative_path({name.sha256, name.size}), name.size, name.sha256, 0644}, {}, std::nullopt, std::move(name)});
  }
}

/// Everything there is, database and blobs of one moment. The database is copied into `scratch`.
Result<std::vector<Source>> gather(Fs& fs, Layout const& layout, std::string const& scratch) {
  auto const database = scratch + "/fleet.db";
  FLEET_CHECK(fs.make_dirs(scratch, 0700));
  FLEET_CHECK(store::copy(layout.place(), database));
  std::vector<Source> sources;
  FLEET_CHECK(add_blobs(database, sources));
  FLEET_CHECK(add_database(fs, database, sources));
  FLEET_CHECK(add_identity(fs, layout, sources));
  return sources;
}

Result<void> put(ArchiveWriter& writer, blobs::BlobStore& store, Source const& source) {
  if (source.content) return writer.put(as_bytes(*source.content));
  if (!source.blob) return writer.put_file(source.entry, source.path);
  FLEET_TRY(auto const bytes, store.fetch(*source.blob));
  return writer.put_file(source.entry, bytes.path);
}

Result<void> write_archive(ArchiveWriter& writer, blobs::BlobStore& store, std::vector<Source> const& sources, SysTime now) {
  std::vector<ArchiveEntry> entries;
  entries.reserve(sources.size());
  for (auto const& source : sources) entries.push_back(source.entry);
  FLEET_CHECK(writer.put_manifest(entries, now));
  for (auto const& source : sources) FLEET_CHECK(put(writer, store, source));
  return writer.finish();
}

}  // namespace

Result<void> backup(Machine const& machine, BackupOptions const& options) {
  auto& fs = system_fs();
  auto const now = machine.clock.wall();
  FLEET_TRY(auto const layout, find_layout(fs, {options.data_dir, options.database, {}, options.blobs}));
  FLEET_TRY(auto const passphrase, read_passphrase(fs, options.passphrase_file));
  Scratch const scratch(fs, Scratch::name(layout, machine, "backup-"));
  FLEET_TRY(auto const store, open_blobs(fs, machine, layout, options.blobs.credentials_file, scratch.path() + "/blobs"));
  FLEET_TRY(auto const sources, gather(fs, layout, scratch.path()));
  FLEET_TRY(auto writer, ArchiveWriter::create(fs, options.file, passphrase, machine.random));
  if (auto const written = write_archive(writer, *store, sources, now); !written) {
    // It holds private keys; what keeps it from being removed is less than what kept it from being written.
    [[maybe_unused]] auto const removed = fs.remove(options.file + ".partial");
    return written;
  }
  fmt::print("wrote {}: {} files (database, keys, CA, blobs); {}\n", options.file, sources.size(),
             passphrase ? "encrypted" : "NOT encrypted, and it holds private keys: keep it as you keep them");
  return {};
}

}  // namespace fleet::admin
