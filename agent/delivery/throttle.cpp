#include "agent/delivery/throttle.hpp"

#include <poll.h>

#include <algorithm>

namespace fleet::agent {

Error interrupted() { return {Kind::unavailable, "interrupted", "the agent was told to stop"}; }

bool Throttle::is_spent() const {
  std::lock_guard const lock(mutex_);
  return budget_.is_spent(clock_.wall());
}

Result<void> Throttle::take(std::uint64_t bytes, std::atomic<bool> const& stop) {
  {
    std::lock_guard const lock(mutex_);
    if (budget_.is_spent(clock_.wall()))
      return Error{Kind::throttled, "over_budget", "the bytes that the device's owner allows in a day are used up", "bandwidth: {per_day: ...} in agent.yaml"};
    budget_.use(bytes, clock_.wall());
    level_ -= static_cast<double>(bytes);
  }
  for (;;) {
    auto const wait = refill();
    if (stop) return interrupted();
    if (wait == 0) return {};
    ::poll(nullptr, 0, wait);
  }
}

/// @returns how long to wait before looking again, in milliseconds; 0: what was taken is paid for
int Throttle::refill() {
  if (rate_ == 0) return 0;
  std::lock_guard const lock(mutex_);
  auto const rate = static_cast<double>(rate_);
  auto const now = clock_.mono();
  if (last_ != MonoTime{}) level_ = std::min(rate, level_ + rate * static_cast<double>((now - last_).count()) / 1000);
  last_ = now;
  return level_ >= 0 ? 0 : static_cast<int>(std::clamp(-level_ / rate * 1000, 1.0, 100.0));
}

}  // namespace fleet::agent
