#include "agent/conditions/update_lock.hpp"

#include "core/base/log.hpp"

namespace fleet::agent {

UpdateLock::Hold UpdateLock::take() {
  std::lock_guard const lock(mutex_);
  if (auto held = held_.lock()) return held;
  auto const& file = context_.config.update_lock.file;
  auto taken = context_.fs.lock(file.starts_with('/') ? file : context_.layout.root + "/" + file);
  if (!taken && taken.error().kind == Kind::not_found) return std::make_shared<Lock>();  // where no file can be, nobody holds one
  if (!taken && taken.error().code != "locked") log::warn("update_lock.unread", {{"error", taken.error().detail}});
  if (!taken) return nullptr;
  Hold held = *std::move(taken);
  held_ = held;
  return held;
}

}  // namespace fleet::agent
