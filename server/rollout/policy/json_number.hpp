#pragma once

#include <cmath>
#include <cstdint>

namespace fleet::rollout {

/// A number as people write it: 100, not 1E2. `Value` is the JSON library's value, which stays out of headers.
template <class Value>
[[nodiscard]] Value json_number(double value) {
  constexpr double kExact = 9e15;
  if (std::abs(value) < kExact && value == std::floor(value)) return Value(static_cast<std::int64_t>(value));
  return Value(value);
}

}  // namespace fleet::rollout
