#include "server/admin/archive.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::admin {
namespace {

namespace json = boost::json;

constexpr std::size_t kFrame = crypto::StreamOpener::kFramePlainMax;

std::string parent_of(std::string const& path) {
  auto const slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string encode(std::vector<ArchiveEntry> const& entries, SysTime now) {
  json::array files;
  for (auto const& entry : entries)
    files.push_back(json::object{{"name", entry.name}, {"size", entry.size}, {"sha256", entry.sha256.hex()}, {"permissions", entry.permissions}});
  return json::serialize(json::object{{"made_at", to_rfc3339(now)}, {"program", FLEET_VERSION}, {"files", std::move(files)}});
}

Bytes big_endian(std::uint64_t value) {
  Bytes bytes(8);
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return bytes;
}

}  // namespace

Result<ArchiveWriter> ArchiveWriter::create(Fs& fs, std::string const& path, std::optional<std::string> const& passphrase, Random& random) {
  if (fs.info(path)) return Error{Kind::conflict, "backup_exists", fmt::format("{} exists already", path), "name a new file"};
  // What an interrupted backup left behind.
  if (auto const removed = fs.remove(path + ".partial"); !removed && removed.error().kind != Kind::not_found) return removed.error();
  FLEET_TRY(auto file, fs.open(path + ".partial", Fs::Mode::create_new, 0600));
  ArchiveWriter writer(fs, path, std::move(file));
  FLEET_CHECK(writer.append(as_bytes(passphrase ? "fleet-backup 1 sealed\n" : "fleet-backup 1 plain\n")));
  if (!passphrase) return writer;
  FLEET_TRY(writer.sealer_, crypto::StreamSealer::create(*passphrase, random));
  FLEET_CHECK(writer.append(writer.sealer_->header()));
  return writer;
}

Result<void> ArchiveWriter::put_manifest(std::vector<ArchiveEntry> const& entries, SysTime now) {
  auto const manifest = encode(entries, now);
  FLEET_CHECK(put(big_endian(manifest.size())));
  return put(as_bytes(manifest));
}

Result<void> ArchiveWriter::put_file(ArchiveEntry const& entry, std::string const& path) {
  FLEET_TRY(auto const file, fs_->open(path, Fs::Mode::read));
  crypto::Sha256 hash;
  Bytes piece(kFrame);
  std::uint64_t done = 0;
  while (done < entry.size) {
    auto const want = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), entry.size - done));
    FLEET_TRY(auto const got, file->read_at(done, std::span(piece).first(want)));
    if (got == 0) break;
    hash.update(BytesView(piece).first(got));
    FLEET_CHECK(put(BytesView(piece).first(got)));
    done += got;
  }
  if (done == entry.size && hash.finish() == entry.sha256) return {};
  return Error{Kind::corrupt, "digest_mismatch", fmt::format("{} is not the {} bytes with SHA-256 {}", path, entry.size, entry.sha256.hex()),
               "run fleet-server check"};
}

Result<void> ArchiveWriter::put(BytesView bytes) {
  while (!bytes.empty()) {
    // A full frame is held back until it is known not to be the last.
    if (buffer_.size() == kFrame) FLEET_CHECK(flush(false));
    auto const piece = bytes.first(std::min(bytes.size(), kFrame - buffer_.size()));
    buffer_.insert(buffer_.end(), piece.begin(), piece.end());
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<void> ArchiveWriter::flush(bool last) {
  FLEET_CHECK(sealer_ ? append(sealer_->frame(buffer_, last)) : append(buffer_));
  buffer_.clear();
  return {};
}

Result<void> ArchiveWriter::append(BytesView bytes) {
  FLEET_CHECK(file_->write_at(offset_, bytes));
  offset_ += bytes.size();
  return {};
}

Result<void> ArchiveWriter::finish() {
  FLEET_CHECK(flush(true));
  FLEET_CHECK(file_->sync());
  FLEET_CHECK(fs_->rename(path_ + ".partial", path_));
  return fs_->sync_dir(parent_of(path_));
}

}  // namespace fleet::admin
