#pragma once

#include "core/base/random.hpp"
#include "core/base/time.hpp"

#include <algorithm>
#include <functional>

namespace fleet::s3 {

/// Waits; false: it was told to stop.
using Pause = std::function<bool(Millis)>;

/// How often and how long something is asked again: up to so many times, each wait a random share of what doubles from `first` to `most` (full jitter), so that nodes that
/// were refused together do not come back together. @source M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015
struct Patience {
  int attempts = 6;
  Millis first{100}, most{5'000};

  /// Before attempt `next`, the second being 1. @param share  in [0, 1) @param told  by the other side (Retry-After); it is kept to, up to `most`
  [[nodiscard]] Millis wait(int next, double share, Millis told = {}) const {
    auto const doubled = first * (std::int64_t{1} << std::min(next - 1, 20));
    auto const own = Millis{static_cast<std::int64_t>(share * static_cast<double>(std::min(doubled, most).count()))};
    return std::max(own, std::min(told, most));
  }
};

}  // namespace fleet::s3
