#pragma once

#include "core/stats/absolute.hpp"

#include <cstdint>

namespace fleet::stats {

/// What two arms came to: devices in them, or devices that left them.
struct Arms {
  std::int64_t canary = 0;
  std::int64_t control = 0;
};

/// Evidence that the arms were not divided as planned (sample-ratio mismatch), or that one arm loses more of its devices: a beta-binomial against the
/// binomial of `planned`, the mean over c in {2, 20, 200, 2000} of
///   B(c s + canary, c (1-s) + control) / B(c s, c (1-s)) / [s^canary (1-s)^control],   s = planned,
/// a prior around the plan, from wide to narrow (Lindon and Malek, "Anytime-valid inference for multinomial count data", 2022). H0: each device falls to the
/// canary with the share `planned`, whatever came before. It is convex in the count, so drawing without replacement from a fixed fleet only lowers it (Hoeffding 1963).
/// @param planned  the canary's share of all that were drawn (of devices that left: of all devices), in (0, 1)
[[nodiscard]] LogEvidence imbalance(Arms arms, double planned);

/// Where `imbalance` says that the experiment itself is wrong.
inline constexpr double kImbalanceBound = 1000;

}  // namespace fleet::stats
