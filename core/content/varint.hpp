#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>

namespace fleet::content {

/// LEB128 (DWARF 5, 7.6).
inline void put_varint(Bytes& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
}

/// The way between two places below 2^62 as an unsigned number: its lowest bit says backwards.
[[nodiscard]] inline std::uint64_t zigzag_to(std::uint64_t from, std::uint64_t to) { return to >= from ? (to - from) * 2 : (from - to) * 2 - 1; }
/// And back. What would be below 0 comes out beyond every limit.
[[nodiscard]] inline std::uint64_t unzigzag_from(std::uint64_t from, std::uint64_t way) { return way % 2 == 0 ? from + way / 2 : from - way / 2 - 1; }

}  // namespace fleet::content
