#include "server/admin/archive.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::admin {
namespace {

constexpr std::size_t kHeadMax = 64;
constexpr std::size_t kManifestMax = 256 * 1024 * 1024;
constexpr std::size_t kFilesMax = 5'000'000;

Error cut(std::string what) { return {Kind::corrupt, "bad_backup", fmt::format("the backup is damaged: {}", what), "use another backup"}; }

Result<ArchiveEntry> read_entry(boost::json::value const& value, std::size_t index) {
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, fmt::format("/files/{}", index), faults);
  ArchiveEntry entry;
  entry.name = reader.required_text("name", 4096);
  entry.size = static_cast<std::uint64_t>(reader.required_integer("size", 0, std::int64_t{1} << 60));
  auto const digest = Digest::parse(reader.required_text("sha256", 64));
  entry.permissions = static_cast<unsigned>(reader.required_integer("permissions", 0, 0777));
  FLEET_CHECK(wire::no_faults(faults, "the backup's manifest"));
  if (!digest) return digest.error();
  entry.sha256 = *digest;
  if (!is_safe_relative_path(entry.name)) return cut(fmt::format("it holds a file named \"{}\"", entry.name));
  return entry;
}

}  // namespace

Result<ArchiveReader> ArchiveReader::open(Fs& fs, std::string const& path, std::optional<std::string> const& passphrase) {
  FLEET_TRY(auto file, fs.open(path, Fs::Mode::read));
  ArchiveReader reader(fs, std::move(file));
  FLEET_CHECK(reader.read_head(passphrase));
  FLEET_CHECK(reader.read_manifest());
  return reader;
}

Result<void> ArchiveReader::read_head(std::optional<std::string> const& passphrase) {
  Bytes head(kHeadMax);
  FLEET_TRY(auto const got, file_->read_at(0, head));
  auto const text = as_text(BytesView(head).first(got));
  auto const line = text.substr(0, text.find('\n'));
  bool const sealed = line == "fleet-backup 1 sealed";
  if (!sealed && line != "fleet-backup 1 plain")
    return Error{Kind::bad_input, "no_backup", "this file is no backup of a fleet-server, or of a newer one", "name a file that fleet-server backup made"};
  offset_ = line.size() + 1;
  if (!sealed && passphrase)
    return Error{Kind::unauthenticated, "backup_not_sealed", "this backup is not encrypted, and a passphrase was given",
                 "it may have been put in an encrypted one's place; leave --passphrase-file out if it is the one you made"};
  if (!sealed) return {};
  if (!passphrase) return Error{Kind::unauthenticated, "passphrase_missing", "this backup is encrypted", "give its passphrase with --passphrase-file"};
  Bytes header(crypto::StreamOpener::header_size());
  FLEET_TRY(auto const size, file_->read_at(offset_, header));
  if (size != header.size()) return cut("its head is cut off");
  offset_ += size;
  FLEET_TRY(opener_, crypto::StreamOpener::create(header, *passphrase));
  return {};
}

Result<void> ArchiveReader::read_manifest() {
  FLEET_TRY(auto const length, read_exactly(8));
  std::uint64_t size = 0;
  for (auto const byte : length) size = size << 8 | byte;
  if (size > kManifestMax) return cut(fmt::format("its manifest has {} bytes", size));
  FLEET_TRY(auto const bytes, read_exactly(static_cast<std::size_t>(size)));
  FLEET_TRY(auto const manifest, wire::parse_json(as_text(bytes), kManifestMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(manifest, "", faults);
  auto const* files = reader.array("files", kFilesMax);
  FLEET_CHECK(wire::no_faults(faults, "the backup's manifest"));
  if (files == nullptr) return cut("its manifest lists no files");
  for (std::size_t i = 0; i < files->size(); ++i) {
    FLEET_TRY(auto entry, read_entry((*files)[i], i));
    entries_.push_back(std::move(entry));
  }
  return {};
}

Result<void> ArchiveReader::extract(ArchiveEntry const& entry, std::string const& path) {
  auto const slash = path.rfind('/');
  FLEET_CHECK(fs_->make_dirs(path.substr(0, slash), 0700));
  FLEET_TRY(auto const file, fs_->open(path, Fs::Mode::create_new, entry.permissions));
  crypto::Sha256 hash;
  Bytes piece(crypto::StreamOpener::kFramePlainMax);
  for (std::uint64_t done = 0; done < entry.size;) {
    auto const want = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), entry.size - done));
    FLEET_TRY(auto const got, read_some(std::span(piece).first(want)));
    if (got == 0) return cut(fmt::format("it ends within {}", entry.name));
    hash.update(BytesView(piece).first(got));
    FLEET_CHECK(file->write_at(done, BytesView(piece).first(got)));
    done += got;
  }
  if (hash.finish() != entry.sha256) return cut(fmt::format("{} does not have the SHA-256 {}", entry.name, entry.sha256.hex()));
  FLEET_CHECK(file->sync());
  return fs_->sync_dir(path.substr(0, slash));
}

Result<void> ArchiveReader::finish() {
  Bytes more(1);
  FLEET_TRY(auto const got, read_some(more));
  FLEET_TRY(auto const size, file_->size());
  if (got != 0 || size != offset_) return cut("bytes follow its last file");
  return {};
}

Result<Bytes> ArchiveReader::read_exactly(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t done = 0; done < size;) {
    FLEET_TRY(auto const got, read_some(std::span(bytes).subspan(done)));
    if (got == 0) return cut("it ends too early");
    done += got;
  }
  return bytes;
}

Result<std::size_t> ArchiveReader::read_some(std::span<std::uint8_t> out) {
  if (used_ == buffer_.size()) FLEET_CHECK(fill());
  auto const count = std::min(out.size(), buffer_.size() - used_);
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(used_), count, out.begin());
  used_ += count;
  return count;
}

Result<void> ArchiveReader::fill() {
  buffer_.clear();
  used_ = 0;
  if (ended_) return {};
  auto const overhead = opener_ ? crypto::StreamOpener::frame_overhead() : 0;
  Bytes raw(crypto::StreamOpener::kFramePlainMax + overhead);
  std::size_t size = 0;
  while (size < raw.size()) {
    FLEET_TRY(auto const got, file_->read_at(offset_ + size, std::span(raw).subspan(size)));
    if (got == 0) break;
    size += got;
  }
  offset_ += size;
  raw.resize(size);
  if (!opener_) {
    ended_ = size == 0;
    buffer_ = std::move(raw);
    return {};
  }
  if (size == 0) return cut("its last frame is missing");
  FLEET_TRY(auto frame, opener_->open(raw));
  ended_ = frame.last;
  buffer_ = std::move(frame.plain);
  return {};
}

}  // namespace fleet::admin
