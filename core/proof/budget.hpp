#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/wire/release.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace fleet::proof {

/// What one inference took in a golden test. The program may say it, one by one ($FLEET_LATENCIES): then it is the 95th percentile (nearest rank), and neither
/// start nor loading is in it. Else it is the whole run, start and loading too, divided by the lines of the expected output.
struct Latency {
  double ms = 0;
  std::size_t inferences = 0;
  bool stated = false;
};

/// @param stated  what the program wrote: milliseconds, a number an inference, between white space; empty: nothing
/// @param took    by the run as a whole
/// @errors unprocessable (code `golden_failed`) with the first that is no time
[[nodiscard]] Result<Latency> latency_of(std::string_view stated, Millis took, std::string_view expected);

/// What a golden test's run used.
struct Measured {
  Latency latency;
  std::uint64_t peak_bytes = 0;  ///< resident memory of its largest process at its peak: what `time -v` shows
  Millis took{0};
};

/// @errors unprocessable (codes `golden_memory`, `golden_latency`) with what was measured, how, and what is allowed
[[nodiscard]] Result<void> check_budgets(wire::Golden const& golden, Measured const& measured);

/// `81.2 MiB`.
[[nodiscard]] std::string memory_text(std::uint64_t bytes);

}  // namespace fleet::proof
