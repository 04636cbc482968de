#include "agent/delivery/bundled.hpp"

#include "agent/delivery/copy_file.hpp"
#include "core/base/log.hpp"

namespace fleet::agent {

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
  auto const read = [&](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    auto const got = bundle.read_at(place->offset + offset, out);
    if (!got) return Error{Kind::unavailable, "bundle_lost", got.error().detail, "put the stick in again, and install once more"};
    return out.size();
  };
  FLEET_TRY(bool const copied, copy_verified(fs, read, file, path, stop));
  if (!copied) log::warn("bundle.wrong_bytes", {{"file", file.name}, {"digest", file.sha256.hex()}});
  return copied;
}

}  // namespace fleet::agent
