#pragma once

#include "core/base/time.hpp"

#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace fleet::api {

/// How many changes an identity may ask for: each leaves rows behind (the audit log keeps them for good), so that what one token writes must have an end.
/// A full bucket lets a bulk change through at once; it fills again slowly. Thread-safe.
class ChangeQuota {
public:
  static constexpr double kAtOnce = 50'000;
  static constexpr double kEachSecond = 10;

  /// False when the identity has used up its changes.
  [[nodiscard]] bool take(std::string_view identity, MonoTime now);

private:
  struct Bucket {
    double left = kAtOnce;
    MonoTime at{};
  };
  static constexpr std::size_t kLookAt = 1'000;  ///< so many buckets more, and those that are full again are dropped

  std::mutex mutex_;
  std::map<std::string, Bucket, std::less<>> buckets_;
  std::size_t look_at_ = kLookAt;
};

}  // namespace fleet::api
