#pragma once

#include "core/base/time.hpp"
#include "server/rollout/engine/rows.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

namespace fleet::rollout {

/// Time of service: it passes while this server is up and hears its devices, whatever the wall clock says. Silence, bakes and deadlines are counted in it.
/// And when each device was heard last, on that clock. Any thread, but for `tick`.
class ServiceClock {
public:
  /// @param base  service time that earlier processes counted, as they kept it
  ServiceClock(Clock& clock, Millis base);
  [[nodiscard]] Millis now() const;
  /// An authenticated word of a device, and what its silence is measured by.
  void heard(std::int64_t device_n, Habits const& habits);
  /// An authenticated word that tells no habits.
  void heard(std::int64_t device_n);

  /// What is known of a device's voice.
  struct Voice {
    Millis heard{0};  ///< service time; not before this process began, nor before the last outage ended
    Millis gap{0};    ///< its longest honest gap; 0: this process has not heard of it
  };
  [[nodiscard]] Voice voice(std::int64_t device_n) const;
  /// After a time that we were away, agents come back within this (their back-off's cap).
  static constexpr Millis kComeBack = std::chrono::minutes{15};
  /// How long this process has been there.
  [[nodiscard]] Millis age() const { return Millis(mono_ms() - began_mono_ms_); }
  /// Whether kComeBack has not passed yet since this process began, or the last outage ended.
  [[nodiscard]] bool is_coming_back() const;

  /// Every few seconds, by one thread: does the whole fleet keep the contacts that it promised? Below a tenth of them the fault is ours, or the network's,
  /// and service time stands still until devices are heard again.
  void tick();
  /// What devices say cannot be kept (the database is away), or can again: such a time, too, is none of service. By the thread that ticks.
  void serves(bool can);
  /// Absences that ended since this was asked last: devices that were heard again after more than their own longest gap. One thread.
  [[nodiscard]] std::int64_t take_returned() { return returned_.exchange(0, std::memory_order_relaxed); }
  // Of several servers one leads, and its time of service is all of theirs.
  /// Contacts that were promised, and that came, as the last tick counted them here; and those of the other servers together.
  struct Kept {
    std::int64_t promised = 0, came = 0;
  };
  [[nodiscard]] Kept kept() const { return {kept_promised_.load(std::memory_order_relaxed), kept_came_.load(std::memory_order_relaxed)}; }
  void set_beside(Kept kept) {
    beside_promised_.store(kept.promised, std::memory_order_relaxed);
    beside_came_.store(kept.came, std::memory_order_relaxed);
  }
  /// Another leads, and it is so late there.
  void follow(Millis service);
  /// From now on this server leads; what was heard before counts as after an outage.
  void take_over(Millis service);
  /// Devices speak to other servers, too: when each was heard stands in the database as well.
  [[nodiscard]] bool is_shared() const { return shared_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool stands_still() const { return stopped_at_.load(std::memory_order_relaxed) >= 0; }

private:
  static constexpr std::size_t kChunk = 4'096;
  static constexpr std::size_t kBuckets = 8'640;  ///< of ten seconds: a day
  struct Slot {
    std::atomic<std::int64_t> heard_ms{0};
    std::atomic<std::int32_t> gap_s{0};
    std::atomic<std::int32_t> promised{-1};  ///< the bucket of its promise: one a device, however often it speaks
  };
  using Chunk = std::array<Slot, kChunk>;

  [[nodiscard]] Slot* slot(std::int64_t device_n) const;
  Slot& make_slot(std::int64_t device_n);
  [[nodiscard]] std::int64_t mono_ms() const;
  void note(Slot& slot, Millis gap);
  void go_on();
  [[nodiscard]] bool follows() const { return follows_.load(std::memory_order_relaxed); }

  Clock& clock_;
  std::int64_t began_mono_ms_;
  std::atomic<std::int64_t> offset_ms_;           ///< service = mono + offset
  std::atomic<std::int64_t> stopped_at_{-1};      ///< service time, while it stands still
  std::atomic<std::int64_t> silence_from_ms_;     ///< clocks of silence began anew
  std::atomic<std::int64_t> returned_{0};
  std::array<std::atomic<std::int32_t>, kBuckets> promised_{}, came_{};
  std::atomic<bool> shared_{false}, follows_{false};
  std::atomic<std::int64_t> kept_promised_{0}, kept_came_{0}, beside_promised_{0}, beside_came_{0};
  std::int64_t last_bucket_ = 0;
  bool cannot_serve_ = false;                      ///< it stands still for that, and not for what the fleet kept
  std::int64_t promised_then_ = 0, kept_for_ = 0;  ///< a minute, when it stopped; looks since then at which those still heard kept their promises
  mutable std::shared_mutex mutex_;               ///< of the table alone
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace fleet::rollout
