#include "core/bundle/bundle.hpp"

#include "core/bundle/tar.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::bundle {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::string_view kJson = ".json";

Error bad_bundle(std::string detail) { return {Kind::bad_input, "bad_bundle", "no bundle: " + std::move(detail)}; }

/// The digest that a name ends with.
Result<Digest> digest_of(std::string_view name, std::string_view prefix, std::string_view suffix) {
  name.remove_prefix(prefix.size());
  if (name.size() < suffix.size() || !name.ends_with(suffix)) return bad_bundle(fmt::format("'{}' names no digest", name.substr(0, 100)));
  name.remove_suffix(suffix.size());
  auto const digest = Digest::parse(name);
  if (!digest) return bad_bundle(fmt::format("'{}' names no digest", name.substr(0, 100)));
  return *digest;
}

std::optional<Place> find_in(std::vector<std::pair<Digest, Place>> const& sorted, Digest const& digest) {
  auto const found = std::lower_bound(sorted.begin(), sorted.end(), digest, [](auto const& one, Digest const& wanted) { return one.first < wanted; });
  return found == sorted.end() || found->first != digest ? std::nullopt : std::optional(found->second);
}

Result<void> sort_by_digest(std::vector<std::pair<Digest, Place>>& all) {
  auto const before = [](auto const& a, auto const& b) { return a.first < b.first; };
  std::sort(all.begin(), all.end(), before);
  auto const twice = std::adjacent_find(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.first == b.first; });
  return twice == all.end() ? Result<void>{} : bad_bundle(fmt::format("{} stands there twice", twice->first.hex()));
}

}  // namespace

std::string directive_name(std::string_view device) { return fmt::format("{}{}{}", kDirectives, crypto::sha256(device).hex(), kJson); }
std::string routes_name(Digest const& release, std::string_view hardware) { return fmt::format("{}{}/{}{}", kRoutes, release.hex(), crypto::sha256(hardware).hex(), kJson); }
std::string blob_name(Digest const& digest) { return std::string(kBlobs) + digest.hex(); }

Result<std::shared_ptr<Bundle const>> Bundle::open(std::unique_ptr<File> file) {
  auto const out = std::shared_ptr<Bundle>(new Bundle(std::move(file)));
  FLEET_CHECK(out->scan());
  return std::shared_ptr<Bundle const>(out);
}

Result<void> Bundle::scan() {
  FLEET_TRY(auto const size, file_->size());
  std::array<std::uint8_t, kTarBlock> header{};
  std::uint64_t at = 0;
  for (std::size_t entries = 0;; ++entries) {
    if (at > size || size - at < kTarBlock) return bad_bundle(fmt::format("it ends at {} of what was written: it was cut", size));
    FLEET_CHECK(read_at(at, header));
    FLEET_TRY(auto const entry, read_tar_header(header));
    if (!entry) break;
    if (entries == kEntriesMax) return bad_bundle(fmt::format("more than {} files", kEntriesMax));
    at += kTarBlock;
    if (entry->size > size || at > size - entry->size) return bad_bundle(fmt::format("'{}' reaches beyond its end: it was cut", entry->name));
    if (entries == 0 && entry->name != kAbout) return bad_bundle(fmt::format("it begins with '{}', expected {}", entry->name.substr(0, 100), kAbout));
    FLEET_CHECK(note(entry->name, {at, entry->size}));
    at += entry->size + tar_padding(entry->size);
  }
  if (files_.empty()) return bad_bundle("it is empty");
  FLEET_CHECK(sort_by_digest(directives_));
  return sort_by_digest(blobs_);
}

Result<void> Bundle::note(std::string const& name, Place const& place) {
  if (name.starts_with(kBlobs)) {
    FLEET_TRY(auto const digest, digest_of(name, kBlobs, ""));
    blobs_.emplace_back(digest, place);
    return {};
  }
  if (!blobs_.empty()) return bad_bundle(fmt::format("'{}' stands behind objects", name.substr(0, 100)));
  if (name.starts_with(kDirectives)) {
    FLEET_TRY(auto const device, digest_of(name, kDirectives, kJson));
    directives_.emplace_back(device, place);
    return {};
  }
  if (name != kAbout && !name.starts_with(kDirectiveRoots) && !name.starts_with(kMetadata) && !name.starts_with(kRoutes)) return bad_bundle(fmt::format("it holds '{}'", name.substr(0, 100)));
  if (files_.size() == kMetadataFilesMax) return bad_bundle(fmt::format("more than {} files of metadata", kMetadataFilesMax));
  if (!files_.emplace(name, place).second) return bad_bundle(fmt::format("'{}' stands there twice", name));
  return {};
}

std::optional<Place> Bundle::find(std::string const& name) const {
  if (name.starts_with(kDirectives)) {
    auto const device = digest_of(name, kDirectives, kJson);
    return device ? find_in(directives_, *device) : std::nullopt;
  }
  auto const found = files_.find(name);
  return found == files_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Place> Bundle::find_blob(Digest const& digest) const { return find_in(blobs_, digest); }

Result<std::string> Bundle::read(std::string const& name, std::uint64_t limit) const {
  auto const place = find(name);
  if (!place) return Error{Kind::not_found, "not_in_bundle", fmt::format("the bundle holds no {}", name)};
  if (place->size > limit) return Error{Kind::too_large, "file_too_large", fmt::format("{} in the bundle has {} bytes, at most {} are taken", name, place->size, limit)};
  std::string out(static_cast<std::size_t>(place->size), '\0');
  FLEET_CHECK(read_at(place->offset, {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}));
  return out;
}

Result<void> Bundle::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  while (!out.empty()) {
    FLEET_TRY(auto const n, file_->read_at(offset, out));
    if (n == 0) return Error{Kind::io, "bundle_cut", fmt::format("the bundle ends at {}: it was cut", offset)};
    offset += n;
    out = out.subspan(n);
  }
  return {};
}

Result<Bytes> BundleFetcher::fetch(std::string const& name, std::uint64_t limit_bytes) {
  FLEET_TRY(auto const text, bundle_.read(folder_ + name, limit_bytes));
  return Bytes(text.begin(), text.end());
}

Result<BundleWriter> BundleWriter::create(Fs& fs, std::string const& path) {
  auto const partial = path + ".partial";
  if (auto const removed = fs.remove(partial); !removed && removed.error().kind != Kind::not_found) return removed.error();
  FLEET_TRY(auto file, fs.open(partial, Fs::Mode::create_new));
  return BundleWriter(fs, path, std::move(file));
}

Result<void> BundleWriter::put(std::string_view name, std::string_view content) {
  FLEET_CHECK(begin(name, content.size()));
  FLEET_CHECK(append(as_bytes(content)));
  return end();
}

Result<void> BundleWriter::begin(std::string_view name, std::uint64_t size) {
  FLEET_TRY(auto const header, tar_header(name, size));
  announced_ = size;
  size_ = 0;
  return write(as_bytes(header));
}

Result<void> BundleWriter::append(BytesView bytes) {
  size_ += bytes.size();
  return write(bytes);
}

Result<void> BundleWriter::end() {
  if (size_ != announced_) return Error{Kind::internal, "wrong_size", fmt::format("{} bytes came, {} were announced", size_, announced_)};
  return write(Bytes(static_cast<std::size_t>(tar_padding(size_))));
}

Result<void> BundleWriter::write(BytesView bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return buffer_.size() < kBufferBytes ? Result<void>{} : flush();
}

Result<void> BundleWriter::flush() {
  FLEET_CHECK(file_->write_at(offset_, buffer_));
  offset_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<std::uint64_t> BundleWriter::finish() {
  FLEET_CHECK(write(Bytes(static_cast<std::size_t>(kTarEndBytes))));
  FLEET_CHECK(flush());
  FLEET_CHECK(file_->sync());
  FLEET_CHECK(fs_->rename(path_ + ".partial", path_));
  auto const slash = path_.find_last_of('/');
  FLEET_CHECK(fs_->sync_dir(slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash)));
  return offset_;
}

}  // namespace fleet::bundle
