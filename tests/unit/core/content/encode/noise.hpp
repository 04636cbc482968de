#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>

namespace fleet::content::testing {

/// Bytes in which nothing repeats: Knuth's linear congruential generator (MMIX), its highest byte. The same for the same seed.
inline Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  for (auto& b : out) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    b = static_cast<std::uint8_t>(seed >> 56);
  }
  return out;
}

}  // namespace fleet::content::testing
