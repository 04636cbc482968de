#include "server/api/change_quota.hpp"

#include <algorithm>

namespace fleet::api {
namespace {

double refilled(double left, MonoTime since, MonoTime now) {
  return std::min(ChangeQuota::kAtOnce, left + ChangeQuota::kEachSecond * std::chrono::duration<double>(now - since).count());
}

}  // namespace

bool ChangeQuota::take(std::string_view identity, MonoTime now) {
  std::lock_guard const lock(mutex_);
  if (buckets_.size() >= look_at_) {
    std::erase_if(buckets_, [&](auto const& one) { return refilled(one.second.left, one.second.at, now) >= kAtOnce; });
    look_at_ = buckets_.size() + kLookAt;
  }
  auto found = buckets_.find(identity);
  if (found == buckets_.end()) found = buckets_.emplace(identity, Bucket{kAtOnce, now}).first;
  auto& bucket = found->second;
  bucket.left = refilled(bucket.left, bucket.at, now);
  bucket.at = now;
  if (bucket.left < 1) return false;
  bucket.left -= 1;
  return true;
}

}  // namespace fleet::api
