#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>

namespace fleet::agent {

/// Ends, from another thread, what one thread waits for: a flag that its loops look at, and what else must be called (a transfer is cancelled).
class Interrupt {
public:
  using Call = std::function<void()>;

  void raise() {
    std::lock_guard const lock(mutex_);
    raised_ = true;
    for (auto const& call : calls_) call();
  }
  void lower() { raised_ = false; }
  [[nodiscard]] bool is_raised() const { return raised_; }
  [[nodiscard]] std::atomic<bool> const& flag() const { return raised_; }
  /// For what looks at the flag alone.
  operator std::atomic<bool> const&() const { return raised_; }

  /// While it lives, raising calls `call` too; at once when it is raised already.
  class Watch {
  public:
    Watch(Interrupt& interrupt, Call call) : interrupt_(interrupt) {
      std::lock_guard const lock(interrupt.mutex_);
      at_ = interrupt.calls_.insert(interrupt.calls_.end(), std::move(call));
      if (interrupt.raised_) (*at_)();
    }
    Watch(Watch const&) = delete;
    ~Watch() {
      std::lock_guard const lock(interrupt_.mutex_);
      interrupt_.calls_.erase(at_);
    }

  private:
    Interrupt& interrupt_;
    std::list<Call>::iterator at_;
  };

private:
  std::mutex mutex_;
  std::atomic<bool> raised_{false};
  std::list<Call> calls_;
};

}  // namespace fleet::agent
