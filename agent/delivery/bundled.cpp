#include "agent/delivery/bundled.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kPieceBytes = 256 * 1024;
constexpr std::uint64_t kSyncEvery = 8 * 1024 * 1024;

}  // namespace

void BundleStock::put(OpenBundle open, std::set<std::string> models) {
  std::lock_guard const lock(mutex_);
  open_ = std::move(open);
  models_ = std::move(models);
  lost_.clear();
  ++times_;
}

std::optional<OpenBundle> BundleStock::get() const {
  std::lock_guard const lock(mutex_);
  return open_;
}

void BundleStock::done(std::string const& model, std::int64_t sequence) {
  std::lock_guard const lock(mutex_);
  if (!open_ || sequence < open_->sequence) return;
  models_.erase(model);
  if (models_.empty()) open_.reset();
}

void BundleStock::lose(std::string const& why) {
  std::lock_guard const lock(mutex_);
  if (!open_) return;
  log::warn("bundle.lost", {{"error", why}});
  open_.reset();
  lost_ = why;
}

std::string BundleStock::lost() const {
  std::lock_guard const lock(mutex_);
  return lost_;
}

int BundleStock::times() const {
  std::lock_guard const lock(mutex_);
  return times_;
}

Result<bool> copy_from_bundle(Fs& fs, bundle::Bundle const& bundle, wire::ReleaseFile const& file, std::string const& path, std::atomic<bool> const& stop) {
  auto const place = bundle.find_blob(file.sha256);
  if (!place || place->size != file.size) return false;
  FLEET_TRY(auto const target, fs.open(path, Fs::Mode::append_or_create));
  FLEET_CHECK(target->truncate(0));
  crypto::Sha256 hash;
  Bytes buffer(static_cast<std::size_t>(std::min(file.size, kPieceBytes)));
  std::uint64_t unsynced = 0;
  for (std::uint64_t at = 0; at < file.size;) {
    if (stop) return Error{Kind::unavailable, "interrupted", "the agent was told to stop"};
    std::span<std::uint8_t> const piece(buffer.data(), static_cast<std::size_t>(std::min(file.size - at, kPieceBytes)));
    if (auto const read = bundle.read_at(place->offset + at, piece); !read) return Error{Kind::unavailable, "bundle_lost", read.error().detail, "put the stick in again, and install once more"};
    FLEET_CHECK(target->write_at(at, piece));
    hash.update(piece);
    at += piece.size();
    unsynced += piece.size();
    if (unsynced < kSyncEvery) continue;
    unsynced = 0;
    FLEET_CHECK(target->sync());
  }
  FLEET_CHECK(target->sync());
  if (hash.finish() == file.sha256) return true;
  log::warn("bundle.wrong_bytes", {{"file", file.name}, {"digest", file.sha256.hex()}});
  FLEET_CHECK(target->truncate(0));
  return false;
}

}  // namespace fleet::agent
