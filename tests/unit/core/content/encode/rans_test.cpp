#include "core/content/encode/rans_encode.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

using namespace fleet;
using namespace fleet::content;

namespace {

/// Symbols that lean to the lower ones, as differences do; `spread` 1 is one symbol, 256 all of them.
Bytes leaning(std::size_t size, std::uint32_t spread, std::uint64_t seed) {
  Bytes out(size);
  for (auto& b : out) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    auto const r = static_cast<std::uint32_t>(seed >> 40);
    b = static_cast<std::uint8_t>((r % spread) * (r >> 8 & 0xff) >> 8);
  }
  return out;
}

bool decodes(BytesView coded, BytesView contexts, BytesView expected) {
  Bytes out(expected.size());
  RansScratch scratch;
  return rans_decode(coded, contexts, out, scratch) && std::equal(out.begin(), out.end(), expected.begin());
}

}  // namespace

TEST_CASE("rans: what is encoded is decoded") {
  CHECK(rc::check("with and without contexts", [] {
    auto const size = *rc::gen::inRange<std::size_t>(1, 20'000);
    auto const symbols = leaning(size, *rc::gen::inRange<std::uint32_t>(1, 257), *rc::gen::arbitrary<std::uint64_t>());
    auto contexts = leaning(size, *rc::gen::inRange<std::uint32_t>(1, 257), *rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(decodes(*rans_encode(symbols, {}, size * 2 + 1000), {}, symbols));
    // Contexts that say something: the symbol's upper bits, sometimes.
    for (std::size_t i = 0; i < size; ++i)
      if (contexts[i] % 4 != 0) contexts[i] = symbols[i] & 0xf0;
    if (auto const coded = rans_encode(symbols, contexts, size * 2 + 1000)) RC_ASSERT(decodes(*coded, contexts, symbols));
  }));
  for (std::size_t size = 1; size < 40; ++size) {
    auto const symbols = leaning(size, 5, size);
    CHECK(decodes(*rans_encode(symbols, {}, 1000), {}, symbols));
  }
}

TEST_CASE("rans: within a hundredth of the entropy") {
  auto const symbols = leaning(200'000, 40, 1);
  std::array<double, 256> counts{};
  for (auto const s : symbols) ++counts[s];
  double bits = 0;
  for (auto const count : counts)
    if (count > 0) bits -= count * std::log2(count / static_cast<double>(symbols.size()));
  CHECK(static_cast<double>(rans_encode(symbols, {}, symbols.size())->size()) < bits / 8 * 1.01);
}

TEST_CASE("rans: what is cut or goes on is refused, what is changed writes nowhere else") {
  auto const symbols = leaning(3000, 30, 2);
  auto coded = *rans_encode(symbols, {}, 3000);
  RansScratch scratch;
  Bytes out(symbols.size());
  for (std::size_t size = 0; size < coded.size(); ++size) CHECK_FALSE(rans_decode(BytesView(coded).first(size), {}, out, scratch));
  coded.push_back(0);
  CHECK_FALSE(rans_decode(coded, {}, out, scratch));
  coded.pop_back();
  for (std::size_t i = 0; i < coded.size() * 8; i += 7) {
    auto changed = coded;
    changed[i / 8] ^= static_cast<std::uint8_t>(1U << (i % 8));
    Bytes guarded(symbols.size() + 2, 0xa5);
    static_cast<void>(rans_decode(changed, {}, std::span(guarded).subspan(1, symbols.size()), scratch));
    CHECK(guarded.front() == 0xa5);
    CHECK(guarded.back() == 0xa5);
  }
}
