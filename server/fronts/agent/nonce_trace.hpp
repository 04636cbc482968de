#pragma once

#include "core/base/time.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

namespace fleet::fronts {

/// Notices two machines that speak as one device (a cloned disk): each poll names the nonce of the last answered one, and two machines
/// cannot both know it. An answer may be lost, so the nonce before that is right too. Kept in memory: a restart forgets, and accuses nobody.
/// Any thread.
class NonceTrace {
public:
  /// False when `prior` is neither the last answered nonce nor the one the device last confirmed; at most once an hour for one device.
  /// @param nonce  of this poll: the answer to it alone will count, not a late one to a poll that the device gave up before
  bool check(std::int64_t device_n, std::string_view prior, std::string_view nonce, MonoTime now);
  void answered(std::int64_t device_n, std::string_view nonce);

private:
  static constexpr std::size_t kShards = 64;
  struct Trace {
    std::uint64_t confirmed = 0;  // hashes of nonces; 0: none
    std::uint64_t last = 0;
    std::uint64_t asked = 0;      // of the newest poll
    MonoTime accused{};
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::int64_t, Trace> traces;
  };
  Shard& shard(std::int64_t device_n) { return shards_[static_cast<std::uint64_t>(device_n) % kShards]; }
  std::array<Shard, kShards> shards_;
};

}  // namespace fleet::fronts
