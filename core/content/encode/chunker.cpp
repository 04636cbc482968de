#include "core/content/encode/chunker.hpp"

#include <algorithm>
#include <array>

namespace fleet::content {
namespace {

/// One random number a byte value: SplitMix64 from 0 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). They settle where chunks are cut;
/// others would share no chunks with what was cut before.
constexpr std::array<std::uint64_t, 256> kGear = [] {
  std::array<std::uint64_t, 256> out{};
  std::uint64_t state = 0;
  for (auto& number : out) {
    state += 0x9e3779b97f4a7c15U;
    auto z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    number = z ^ (z >> 31);
  }
  return out;
}();
// The hash's upper bits saw the most bytes. 2^16 is the normal size: two bits more before it, two fewer past it.
constexpr std::uint64_t kHard = ~std::uint64_t{0} << (64 - 18), kEasy = ~std::uint64_t{0} << (64 - 14);
constexpr std::size_t kPieceBytes = 1U << 20;

}  // namespace

std::size_t first_chunk(BytesView bytes) {
  auto const end = std::min(bytes.size(), kChunkBytesMax);
  if (end <= kChunkBytesMin) return end;
  auto const normal = std::min(end, kChunkBytesNormal);
  std::uint64_t hash = 0;
  std::size_t i = kChunkBytesMin;
  for (; i < normal; ++i) {
    hash = (hash << 1) + kGear[bytes[i]];
    if ((hash & kHard) == 0) return i + 1;
  }
  for (; i < end; ++i) {
    hash = (hash << 1) + kGear[bytes[i]];
    if ((hash & kEasy) == 0) return i + 1;
  }
  return end;
}

Result<std::vector<std::uint64_t>> cut_chunks(Source& file, std::vector<std::uint64_t> const& edges) {
  std::vector<std::uint64_t> ends;
  Bytes piece;
  std::uint64_t piece_at = 0;
  auto edge = edges.begin();
  for (std::uint64_t at = 0; at < file.size();) {
    while (edge != edges.end() && *edge <= at) ++edge;
    auto const left = (edge == edges.end() ? file.size() : std::min(*edge, file.size())) - at;
    auto const wanted = std::min<std::uint64_t>(left, kChunkBytesMax);
    if (at < piece_at || at + wanted > piece_at + piece.size()) {
      piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, file.size() - at)));
      FLEET_CHECK(file.read(at, piece));
      piece_at = at;
    }
    at += first_chunk(BytesView(piece).subspan(static_cast<std::size_t>(at - piece_at), static_cast<std::size_t>(wanted)));
    ends.push_back(at);
  }
  return ends;
}

}  // namespace fleet::content
