#pragma once

#include "core/base/time.hpp"

#include <array>

namespace fleet::telemetry {

/// How long the intervals are that samples of an age are kept in: the older, the longer.
struct Age {
  Millis interval;
  Millis until;  ///< of this age
};
inline constexpr std::array kAges{Age{std::chrono::minutes{1}, std::chrono::days{2}}, Age{std::chrono::minutes{10}, std::chrono::days{14}},
                                  Age{std::chrono::hours{1}, std::chrono::days{400}}};
inline constexpr Millis kInterval = kAges.front().interval;
inline constexpr Millis kRetention = kAges.back().until;
/// So long after they were heard last series are kept by labels that are chosen no more: a label of too many values is a mistake that ends.
inline constexpr Millis kOtherLabels = std::chrono::days{14};

/// How long the interval is that something of the time `at` is kept in.
[[nodiscard]] constexpr Millis interval_at(SysTime at, SysTime now) {
  auto interval = kAges.back().interval;
  for (auto age = kAges.rbegin(); age != kAges.rend(); ++age)
    if (now - at < age->until) interval = age->interval;
  return interval;
}
/// Where it begins.
[[nodiscard]] constexpr SysTime interval_of(SysTime at, SysTime now) { return at - at.time_since_epoch() % interval_at(at, now); }

}  // namespace fleet::telemetry
