#include "core/content/rans.hpp"

#include "core/content/bits.hpp"

#include <algorithm>
#include <cstring>

namespace fleet::content {
namespace {

constexpr std::size_t kContexts = 256;
using ContextMap = std::array<std::uint8_t, kContexts>;

/// Frequencies of one table: the last symbol that occurs, then for each up to it the change of its number of bits, in gamma code, and the bits below its highest.
bool read_table(BitReader& in, unsigned scale, std::span<std::uint32_t> slots) {
  auto const last = in.bits(8);
  std::uint32_t width = 0, sum = 0;
  for (std::uint32_t symbol = 0; symbol <= last; ++symbol) {
    auto const change = in.gamma();
    width = change % 2 == 0 ? width + change / 2 : width - change / 2 - 1;
    if (width > scale + 1 || in.failed()) return false;
    if (width == 0) continue;
    auto const frequency = 1U << (width - 1) | in.bits(width - 1);
    if (frequency > slots.size() - sum) return false;
    for (std::uint32_t i = 0; i < frequency; ++i) slots[sum++] = i << 20 | (frequency - 1) << 8 | symbol;
  }
  return !in.failed() && sum == slots.size();
}

bool read_map(BytesView coded, std::size_t& at, std::size_t& tables, ContextMap& map) {
  if (at == coded.size()) return false;
  tables = coded[at++];
  if (tables == 0 || tables > kRansTablesMax) return false;
  for (std::size_t context = 0; context < kContexts;) {
    if (coded.size() - at < 2) return false;
    auto const table = coded[at];
    std::size_t const run = std::size_t{coded[at + 1]} + 1;
    at += 2;
    if (table >= tables || run > kContexts - context) return false;
    std::fill_n(map.begin() + static_cast<std::ptrdiff_t>(context), run, table);
    context += run;
  }
  return true;
}

std::uint32_t read_u32(std::uint8_t const* at) {
  return std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
}

using States = std::array<std::uint32_t, kRansStates>;

/// One symbol of one state, before it takes a word: x -> f (x / 2^scale) + place of its slot among the symbol's.
inline std::uint8_t step(std::uint32_t& state, std::uint32_t const* slots, unsigned scale) {
  auto const slot = slots[state & ((1U << scale) - 1)];
  state = ((slot >> 8 & 0xfff) + 1) * (state >> scale) + (slot >> 20);
  return static_cast<std::uint8_t>(slot);
}

/// Fills `out` from states and words, which must then be at their end. A state takes one word at most: it is at least 2^16 before and at least 2^4 after.
template <bool kContext>
bool decode(States const& begin, BytesView words, std::uint32_t const* slots, ContextMap const& map, std::uint8_t const* contexts, unsigned scale, std::span<std::uint8_t> out) {
  std::array<std::uint32_t, kContexts> first{};  // slot of each context's table
  for (std::size_t c = 0; c < kContexts; ++c) first[c] = std::uint32_t{map[c]} << scale;
  auto const slots_of = [&](std::size_t i) { return kContext ? slots + first[contexts[i]] : slots; };
  auto const* word = words.data();
  auto const* const end = word + words.size();
  auto const size = out.size();
  auto* const to = out.data();
  States state = begin;
  auto const refill = [&word](std::uint32_t& x) {
    std::uint16_t next = 0;
    std::memcpy(&next, word, sizeof next);
    // 0 or 16: what the state lacks. An arithmetic selection: whether a state takes a word cannot be foreseen.
    auto const lacks = static_cast<std::uint32_t>((std::uint64_t{x} - kRansLow) >> 63 << 4);
    x = x << lacks | (next & (0 - (lacks >> 4)));
    word += lacks >> 3;
  };
  std::size_t i = 0;
  for (; size - i >= kRansStates && static_cast<std::size_t>(end - word) >= 2 * kRansStates; i += kRansStates) {
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kRansStates; ++k) to[i + k] = step(state[k], slots_of(i + k), scale);
#pragma GCC unroll 8
    for (auto& x : state) refill(x);
  }
  for (; i < size; ++i) {
    auto& x = state[i % kRansStates];
    to[i] = step(x, slots_of(i), scale);
    if (x >= kRansLow) continue;
    if (end - word < 2) return false;
    refill(x);
  }
  return word == end && std::all_of(state.begin(), state.end(), [](std::uint32_t x) { return x == kRansLow; });
}

}  // namespace

bool rans_decode(BytesView coded, BytesView contexts, std::span<std::uint8_t> out, RansScratch& scratch) {
  bool const with_contexts = !contexts.empty();
  if (coded.empty() || (with_contexts && contexts.size() != out.size())) return false;
  std::size_t at = 0, tables = 1;
  unsigned const scale = coded[at++];
  if (scale < kRansScaleMin || scale > kRansScaleMax) return false;
  ContextMap map{};
  if (with_contexts && !read_map(coded, at, tables, map)) return false;
  scratch.slots.resize(tables << scale);
  BitReader bits(coded.subspan(at));
  for (std::size_t t = 0; t < tables; ++t)
    if (!read_table(bits, scale, std::span(scratch.slots).subspan(t << scale, std::size_t{1} << scale))) return false;
  at += bits.bytes_used();
  States states{};
  if (coded.size() - at < 4 * states.size()) return false;
  for (auto& state : states) {
    state = read_u32(coded.data() + at);
    if (state < kRansLow) return false;
    at += 4;
  }
  auto const words = coded.subspan(at);
  auto const* const slots = scratch.slots.data();
  return with_contexts ? decode<true>(states, words, slots, map, contexts.data(), scale, out) : decode<false>(states, words, slots, map, nullptr, scale, out);
}

}  // namespace fleet::content
