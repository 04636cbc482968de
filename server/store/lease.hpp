#pragma once

#include "core/base/time.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace fleet::store {

/// Which of several servers leads: judges rollouts and tidies up. Who leads says so each second; another takes over where it saw nothing of that for kPatience by
/// its own clock, and a former leader, whatever held it up, writes nothing more (docs/adr/0061). A server alone on a file always leads.
class Lease {
public:
  static constexpr Millis kPatience{5'000};

  /// @param name  which lease
  Lease(Store& store, Clock& clock, std::string name);
  [[nodiscard]] bool is_held() const { return held_.load(std::memory_order_acquire); }

  /// How a beat came out.
  struct Beat {
    bool is_held = false;
    bool is_new = false;       ///< it was not held before this beat
    std::string holder = {};   ///< a node; empty: nobody
    Millis service{0};         ///< as the holder, or the one before, had it
  };
  /// About once a second, by one thread: keeps it, or takes it where nobody does. @param service  time of service, where it is held
  Result<Beat> beat(Millis service);
  /// Others need not wait. Fine where it is not held.
  void give_back();
  /// In a transaction of what only the leader does. @errors conflict (`lease_lost`): another leads by now
  Result<void> check(Tx& tx) const;
  /// The code of that.
  static constexpr std::string_view kLost = "lease_lost";
  /// A job that is one of the leader's. The lease must outlive it.
  [[nodiscard]] Job fenced(Job job) const;

private:
  Store& store_;
  Clock& clock_;
  std::string name_;
  std::atomic<bool> held_;
  std::atomic<std::int64_t> fence_{0};  ///< with which it is held
  std::int64_t seen_fence_ = -1, seen_beat_ = -1;
  MonoTime seen_at_{};
};

}  // namespace fleet::store
