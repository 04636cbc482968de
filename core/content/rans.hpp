#pragma once

#include "core/base/bytes.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace fleet::content {

/// Range asymmetric numeral systems over bytes (Duda, "Asymmetric numeral systems", arXiv:1311.2540, section 2): eight 32-bit states take turns (symbol i is
/// state i % 8's), each kept in [2^16, 2^32) by 16-bit words. Frequencies sum to 2^scale. With contexts each symbol is coded by the table that its context
/// byte maps to.
///
/// The coded bytes: scale; with contexts how many tables there are and, in runs (table, length), the table of each of the 256 contexts; the tables' frequencies as
/// bits; the states; the words in the order in which the decoder takes them. Little-endian.
inline constexpr unsigned kRansScaleMin = 8, kRansScaleMax = 12;  // a slot fits 32 bits
inline constexpr std::size_t kRansStates = 8;  // as many as hide each other's latency
inline constexpr std::size_t kRansTablesMax = 32;
inline constexpr std::uint32_t kRansLow = 1U << 16;

/// What decoding needs room for, kept from one plane to the next: 2^scale slots a table, table after table; 512 KiB at most. Of each slot its symbol (8 bits), the
/// symbol's frequency - 1 and which of the symbol's slots it is (12 bits each).
struct RansScratch {
  std::vector<std::uint32_t> slots;
};

/// Fills all of `out`.
/// @param contexts  a byte a symbol; empty: there is one table
/// @returns false for whatever was not written by rans_encode with as many symbols and the same contexts, as far as can be told: all words are used, the states end where
///          they began
[[nodiscard]] bool rans_decode(BytesView coded, BytesView contexts, std::span<std::uint8_t> out, RansScratch& scratch);

}  // namespace fleet::content
