#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace fleet::agent {

/// One at a time; who waits for its turn looks at `stop`.
class Turn {
public:
  class Holder {
  public:
    explicit Holder(Turn& turn) : turn_(&turn) {}
    Holder(Holder&& other) noexcept : turn_(std::exchange(other.turn_, nullptr)) {}
    ~Holder() {
      if (turn_ == nullptr) return;
      std::lock_guard const lock(turn_->mutex_);
      turn_->taken_ = false;
      turn_->free_.notify_one();
    }

  private:
    Turn* turn_;
  };

  /// @errors unavailable (code `interrupted`)
  Result<Holder> take(std::atomic<bool> const& stop) {
    std::unique_lock lock(mutex_);
    while (taken_) {
      if (stop) return Error{Kind::unavailable, "interrupted", "something else is wanted meanwhile"};
      free_.wait_for(lock, kLook);
    }
    taken_ = true;
    return Holder(*this);
  }

private:
  static constexpr Millis kLook{100};
  std::mutex mutex_;
  std::condition_variable free_;
  bool taken_ = false;
};

}  // namespace fleet::agent
