#include "core/content/encode/window.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_set>

namespace fleet::content {
namespace {

constexpr std::size_t kSampleBytes = 32;
constexpr std::uint64_t kSamplesMax = 1U << 20;
constexpr std::uint64_t kBucketBytes = 128U << 10;
constexpr std::size_t kPieceBytes = 1U << 20;
constexpr std::size_t kProbesMax = 16;
/// A polynomial in an odd number modulo 2^64 (Karp, Rabin, "Efficient randomized pattern-matching algorithms", 1987).
constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15U;
constexpr std::uint64_t kFactorOut = [] {
  std::uint64_t power = 1;
  for (std::size_t i = 0; i < kSampleBytes; ++i) power *= kFactor;
  return power;
}();

std::uint64_t mixed(std::uint64_t hash) {
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93U;
  return hash ^ hash >> 32;
}

std::uint64_t hash_of(std::uint8_t const* bytes) {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < kSampleBytes; ++i) hash = hash * kFactor + bytes[i];
  return hash;
}

bool is_flat(std::uint8_t const* bytes) { return std::all_of(bytes, bytes + kSampleBytes, [&](std::uint8_t b) { return b == *bytes; }); }

}  // namespace

void WindowIndex::insert(std::uint64_t hash, std::uint32_t place) {
  hash = mixed(hash);
  auto const mask = entries_.size() - 1;
  for (std::size_t probe = 0; probe < kProbesMax; ++probe) {
    auto& entry = entries_[(hash + probe) & mask];
    auto const check = static_cast<std::uint32_t>(hash >> 32);
    if (entry.place != 0 && entry.check != check) continue;
    entry = {check, entry.place == 0 ? place : kRepeated};
    return;
  }
}

Result<WindowIndex> WindowIndex::build(std::vector<Base> const& bases) {
  WindowIndex index;
  std::uint64_t total = 0;
  for (auto const& base : bases) {
    index.starts_.push_back(total);
    total += base.source->size();
  }
  index.starts_.push_back(total);
  index.stride_ = std::max<std::uint64_t>(kSampleBytes, std::bit_ceil(total / kSamplesMax + 1));
  index.entries_.resize(std::bit_ceil(2 * (total / index.stride_ + 1)));
  Bytes piece;
  for (std::size_t b = 0; b < bases.size(); ++b) {
    auto& source = *bases[b].source;
    for (std::uint64_t at = 0; at < source.size(); at += kPieceBytes) {
      piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes + kSampleBytes, source.size() - at)));
      FLEET_CHECK(source.read(at, piece));
      // Samples lie at multiples of the stride in the row of all bases.
      auto const row = index.starts_[b] + at;
      for (std::uint64_t i = (index.stride_ - row % index.stride_) % index.stride_; i < kPieceBytes && i + kSampleBytes <= piece.size(); i += index.stride_)
        if (!is_flat(piece.data() + i)) index.insert(hash_of(piece.data() + i), static_cast<std::uint32_t>((row + i) / index.stride_ + 1));
    }
  }
  return index;
}

std::optional<WindowIndex::Window> WindowIndex::find(BytesView block, std::uint64_t offset) const {
  if (entries_.empty() || block.size() < kSampleBytes) return {};
  std::map<std::uint64_t, std::uint32_t> votes;  // of buckets of the row of all bases; each sample votes once
  std::unordered_set<std::uint32_t> voted;
  auto const mask = entries_.size() - 1;
  auto hash = hash_of(block.data());
  for (std::size_t i = 0;; ++i) {
    auto const key = mixed(hash);
    for (std::size_t probe = 0; probe < kProbesMax; ++probe) {
      auto const& entry = entries_[(key + probe) & mask];
      if (entry.place == 0) break;
      if (entry.check != static_cast<std::uint32_t>(key >> 32)) continue;
      if (entry.place != kRepeated && voted.insert(entry.place).second) ++votes[(entry.place - 1) * stride_ / kBucketBytes];
      break;
    }
    if (i + kSampleBytes >= block.size()) break;
    hash = hash * kFactor + block[i + kSampleBytes] - kFactorOut * block[i];
  }
  std::optional<Window> best;
  std::uint64_t best_sum = 0, best_distance = 0;
  for (auto const& [bucket, count] : votes) {
    auto const row = bucket * kBucketBytes;
    auto const file = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), row) - starts_.begin()) - 1;
    if (file + 1 >= starts_.size()) continue;
    // What lies before a vote in its window counts as well: a window begins where a vote is.
    auto const begin = row - starts_[file], size = starts_[file + 1] - starts_[file];
    auto const start = std::min(begin, size > kBaseRangeBytesMax ? size - kBaseRangeBytesMax : 0);
    std::uint64_t sum = 0;
    for (auto at = votes.lower_bound((starts_[file] + start) / kBucketBytes); at != votes.end() && at->first * kBucketBytes < starts_[file] + start + kBaseRangeBytesMax; ++at)
      sum += at->second;
    auto const distance = begin > offset ? begin - offset : offset - begin;
    if (sum < best_sum || (sum == best_sum && best && distance >= best_distance)) continue;
    best_sum = sum;
    best_distance = distance;
    best = Window{static_cast<std::uint32_t>(file), start, static_cast<std::uint32_t>(std::min(kBaseRangeBytesMax, size - start))};
  }
  return best;
}

}  // namespace fleet::content
