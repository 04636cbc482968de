#include "server/blobs/store/copies.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::blobs {
namespace {

constexpr std::uint64_t kDiskReserve = std::uint64_t{1} << 30;  ///< whatever is copied, uploads and the database must go on
constexpr std::string_view kPartial = ".partial";

std::string key_of(Name const& name) { return fmt::format("{}.{}.{}", name.sha256.hex(), name.generation, name.size); }

/// The size at a key's end. Nothing: it is no key of ours.
std::optional<std::uint64_t> size_in(std::string const& key) {
  auto const dot = key.rfind('.');
  if (dot == std::string::npos || dot + 1 == key.size() || dot < 65 || key.find_first_not_of("0123456789", dot + 1) != std::string::npos || key.size() - dot > 20) return std::nullopt;
  return std::stoull(key.substr(dot + 1));
}

}  // namespace

Result<void> Copies::settle() {
  FLEET_CHECK(fs_.make_dirs(dir_, 0700));
  FLEET_TRY(auto const names, fs_.list(dir_));
  std::lock_guard const lock(mutex_);
  for (auto const& name : names) {
    auto const size = size_in(name);
    auto const info = fs_.info(path_of(name));
    if (size && info && info->type == FileInfo::Type::file && info->size == *size) {
      copies_[name] = {.size = *size, .ready = true};
      bytes_ += *size;
    } else {
      FLEET_CHECK(fs_.remove_tree(path_of(name)));
    }
  }
  make_room(0);
  return {};
}

LocalFile Copies::lend(std::string const& key, Copy& copy) {
  copy.used = ++uses_;
  return {path_of(key), copy.pin};
}

void Copies::make_room(std::uint64_t size) {
  while (bytes_ + size > bytes_max_) {
    auto oldest = copies_.end();
    for (auto at = copies_.begin(); at != copies_.end(); ++at)
      if (at->second.ready && at->second.pin.use_count() == 1 && (oldest == copies_.end() || at->second.used < oldest->second.used)) oldest = at;
    if (oldest == copies_.end()) return;
    if (auto const gone = fs_.remove(path_of(oldest->first)); !gone && gone.error().kind != Kind::not_found) log::warn("blobs.copy_stays", {{"path", path_of(oldest->first)}, {"detail", gone.error().detail}});
    bytes_ -= oldest->second.size;
    copies_.erase(oldest);
  }
}

Result<void> Copies::check_disk(std::uint64_t size) const {
  FLEET_TRY(auto const free, fs_.free_bytes(dir_));
  if (free >= kDiskReserve && size <= free - kDiskReserve) return {};
  return Error{Kind::unavailable, "disk_full", fmt::format("a copy of {} bytes does not fit: the disk has {} free, of which {} are kept", size, free, kDiskReserve), "make room on the server's disk"};
}

std::optional<LocalFile> Copies::find(Name const& name) {
  std::lock_guard const lock(mutex_);
  auto const at = copies_.find(key_of(name));
  if (at == copies_.end() || !at->second.ready) return std::nullopt;
  ++found_;
  return lend(at->first, at->second);
}

Result<LocalFile> Copies::fetch(Name const& name, Bring const& bring) {
  auto const key = key_of(name);
  {
    std::unique_lock lock(mutex_);
    for (;;) {
      auto const at = copies_.find(key);
      if (at == copies_.end()) break;
      if (at->second.ready) {
        ++found_;
        return lend(key, at->second);
      }
      changed_.wait(lock);
    }
    make_room(name.size);
    FLEET_CHECK(check_disk(name.size));
    copies_[key] = {.size = name.size};
    bytes_ += name.size;
  }
  auto const partial = path_of(key) + std::string(kPartial);
  auto brought = bring(name, partial);
  if (brought) brought = fs_.rename(partial, path_of(key));
  if (!brought) [[maybe_unused]] auto const gone = fs_.remove_tree(partial);
  std::lock_guard const lock(mutex_);
  changed_.notify_all();
  if (!brought) {
    copies_.erase(key);
    bytes_ -= name.size;
    return brought.error();
  }
  ++fetched_;
  auto& copy = copies_[key];
  copy.ready = true;
  return lend(key, copy);
}

Result<void> Copies::adopt(Name const& name, std::string const& path) {
  auto const key = key_of(name);
  std::lock_guard const lock(mutex_);
  if (!would_fit(name.size) || copies_.contains(key)) return fs_.remove(path);
  make_room(name.size);
  FLEET_CHECK(fs_.rename(path, path_of(key)));
  copies_[key] = {.size = name.size, .used = ++uses_, .ready = true};
  bytes_ += name.size;
  return {};
}

void Copies::forget(Name const& name) {
  std::lock_guard const lock(mutex_);
  auto const at = copies_.find(key_of(name));
  if (at == copies_.end() || !at->second.ready || at->second.pin.use_count() > 1) return;
  [[maybe_unused]] auto const gone = fs_.remove(path_of(at->first));  // one that stays goes by its age
  bytes_ -= at->second.size;
  copies_.erase(at);
}

void Copies::trim() {
  std::lock_guard const lock(mutex_);
  make_room(0);
}

bool Copies::is_over() const {
  std::lock_guard const lock(mutex_);
  return bytes_ > bytes_max_;
}

Copies::Figures Copies::figures() const {
  std::lock_guard const lock(mutex_);
  return {copies_.size(), bytes_, found_, fetched_};
}

}  // namespace fleet::blobs
