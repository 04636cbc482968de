#pragma once

#include "agent/store/budget.hpp"
#include "core/base/time.hpp"

#include <atomic>
#include <mutex>

namespace fleet::agent {

/// A token bucket in bytes, and the day's budget, for all models together; waits by asking `stop` every 100 ms. Thread-safe.
class Throttle {
public:
  Throttle(Clock& clock, std::uint64_t bytes_per_s, Budget budget = {}) : clock_(clock), rate_(bytes_per_s), budget_(std::move(budget)) {}
  /// Nothing more may be fetched today.
  [[nodiscard]] bool is_spent() const;
  /// @errors unavailable (code `interrupted`), throttled (code `over_budget`)
  Result<void> take(std::uint64_t bytes, std::atomic<bool> const& stop);

  [[nodiscard]] MonoTime now() const { return clock_.mono(); }

private:
  int refill();
  Clock& clock_;
  std::uint64_t rate_;
  mutable std::mutex mutex_;
  Budget budget_;
  double level_ = 0;
  MonoTime last_{};
};

/// What ends a download when the agent, or another wish, wants it to.
[[nodiscard]] Error interrupted();

}  // namespace fleet::agent
