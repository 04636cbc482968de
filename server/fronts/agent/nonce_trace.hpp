#pragma once

#include "core/base/time.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

namespace fleet::fronts {

/// What of a poll says which machine sent it.
struct PollMarks {
  std::string_view nonce, prior, boot_id;
};

/// Notices two machines that speak as one device (a cloned disk): each poll names the nonce of the last answered one, and two machines
/// cannot both know it. An answer may be lost, so the nonce before that is right too; and after a new boot a prior is believed once, for what a device
/// kept of it may be from before a power cut. But no device returns to an earlier boot: two machines that alternate do. Kept in memory: a restart
/// forgets, and accuses nobody. Any thread.
class NonceTrace {
public:
  /// False when `prior` is neither the last answered nonce nor the one the device last confirmed, or the boot is an earlier one; at most once an hour for
  /// one device. The answer to this poll alone will count, not a late one to a poll that the device gave up before.
  bool check(std::int64_t device_n, PollMarks const& poll, MonoTime now);
  void answered(std::int64_t device_n, std::string_view nonce);

private:
  static constexpr std::size_t kShards = 64;
  struct Trace {
    std::uint64_t confirmed = 0;  // hashes of nonces; 0: none
    std::uint64_t last = 0;
    std::uint64_t asked = 0;  // of the newest poll
    std::uint32_t boot = 0;   // hash of its boot; 0: none
    std::array<std::uint32_t, 3> boots_before{};
    MonoTime accused{};
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::int64_t, Trace> traces;
  };
  static bool is_one_machine(Trace& trace, PollMarks const& poll);
  Shard& shard(std::int64_t device_n) { return shards_[static_cast<std::uint64_t>(device_n) % kShards]; }
  std::array<Shard, kShards> shards_;
};

}  // namespace fleet::fronts
