#include "core/content/encode/rans_encode.hpp"

#include "core/content/bits.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace fleet::content {
namespace {

using Counts = std::array<std::uint32_t, 256>;
using Frequencies = std::array<std::uint32_t, 256>;

double log2_of(std::uint32_t value) {
  static auto const kLogs = [] {
    std::vector<float> out(1U << 16);
    for (std::size_t i = 1; i < out.size(); ++i) out[i] = std::log2(static_cast<float>(i));
    return out;
  }();
  return value < kLogs.size() ? double{kLogs[value]} : std::log2(static_cast<double>(value));
}

/// Bits that an ideal code takes.
double entropy_bits(Counts const& counts) {
  std::uint32_t sum = 0;
  double bits = 0;
  for (auto const count : counts)
    if (count > 0) {
      sum += count;
      bits -= count * log2_of(count);
    }
  return bits + (sum > 0 ? sum * log2_of(sum) : 0);
}

/// Scaled to a sum of 2^scale, at least 1 for what occurs: rounded, then what is too much or too little goes where it costs least.
Frequencies scaled(Counts const& counts, unsigned scale) {
  std::uint64_t sum = 0;
  for (auto const count : counts) sum += count;
  Frequencies out{};
  std::int64_t left = std::int64_t{1} << scale;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (counts[i] > 0) {
      out[i] = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, ((std::uint64_t{counts[i]} << scale) + sum / 2) / sum));
      left -= out[i];
    }
  while (left != 0) {
    std::size_t best = 256;
    double best_gain = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (counts[i] == 0 || (left < 0 && out[i] == 1)) continue;
      auto const to = left > 0 ? out[i] + 1 : out[i] - 1;
      auto const gain = counts[i] * (log2_of(to) - log2_of(out[i]));
      if (gain > best_gain) {
        best_gain = gain;
        best = i;
      }
    }
    // Steps of a hundredth of it at once: only the first rounding is far off.
    auto const step = static_cast<std::uint32_t>(std::clamp<std::int64_t>(std::min<std::int64_t>(std::abs(left), out[best] / 128), 1, std::abs(left)));
    out[best] = left > 0 ? out[best] + step : out[best] - std::min(step, out[best] - 1);
    left = std::int64_t{1} << scale;
    for (auto const f : out) left -= f;
  }
  return out;
}

void write_table(Frequencies const& frequencies, BitWriter& out) {
  std::uint32_t last = 255;
  while (frequencies[last] == 0) --last;
  out.bits(last, 8);
  unsigned width = 0;
  for (std::uint32_t symbol = 0; symbol <= last; ++symbol) {
    auto const next = static_cast<unsigned>(std::bit_width(frequencies[symbol]));
    out.gamma(next >= width ? (next - width) * 2 : (width - next) * 2 - 1);
    width = next;
    if (width > 1) out.bits(frequencies[symbol], width - 1);
  }
}

double table_bits(Frequencies const& frequencies) {
  std::uint32_t last = 255;
  while (frequencies[last] == 0) --last;
  unsigned width = 0, bits = 8;
  for (std::uint32_t symbol = 0; symbol <= last; ++symbol) {
    auto const next = static_cast<unsigned>(std::bit_width(frequencies[symbol]));
    bits += gamma_bits(next >= width ? (next - width) * 2 : (width - next) * 2 - 1) + (next > 1 ? next - 1 : 0);
    width = next;
  }
  return bits;
}

double coded_bits(Counts const& counts, Frequencies const& frequencies, unsigned scale) {
  double bits = 0;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0) bits += counts[i] * (scale - log2_of(frequencies[i]));
  return bits;
}

/// Neighbouring contexts that share a table.
struct Cluster {
  std::size_t first = 0, last = 0;  ///< contexts
  Counts counts{};
  double bits = 0;  ///< entropy and a guess of the table
};

double cluster_bits(Counts const& counts, double each) {
  auto const symbols = std::count_if(counts.begin(), counts.end(), [](auto count) { return count > 0; });
  return entropy_bits(counts) + each + 6.0 * static_cast<double>(symbols);
}

/// Merges neighbours as long as that is smaller, or little larger (tables that are few stay in the decoder's nearest cache), or there are too many tables.
std::vector<Cluster> clustered(BytesView symbols, BytesView contexts) {
  auto const each = 16 + static_cast<double>(symbols.size()) / 1024;
  std::vector<Counts> counts(256);
  for (std::size_t i = 0; i < symbols.size(); ++i) ++counts[contexts[i]][symbols[i]];
  std::vector<Cluster> out;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    if (std::all_of(counts[c].begin(), counts[c].end(), [](auto count) { return count == 0; })) continue;
    out.push_back({c, c, counts[c], cluster_bits(counts[c], each)});
  }
  auto const merged = [each](Cluster const& a, Cluster const& b) {
    Cluster both{a.first, b.last, a.counts, 0};
    for (std::size_t s = 0; s < 256; ++s) both.counts[s] += b.counts[s];
    both.bits = cluster_bits(both.counts, each);
    return both;
  };
  std::vector<double> gains;  // of merging a cluster with the next
  for (std::size_t i = 0; i + 1 < out.size(); ++i) gains.push_back(out[i].bits + out[i + 1].bits - merged(out[i], out[i + 1]).bits);
  while (!gains.empty()) {
    auto const best = std::max_element(gains.begin(), gains.end());
    if (*best <= 0 && out.size() <= kRansTablesMax) break;
    auto const at = static_cast<std::size_t>(best - gains.begin());
    out[at] = merged(out[at], out[at + 1]);
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    gains.erase(best);
    for (auto const i : {at - 1, at})
      if (i < gains.size()) gains[i] = out[i].bits + out[i + 1].bits - merged(out[i], out[i + 1]).bits;
  }
  return out;
}

struct Scale {
  unsigned scale = 0;
  double bits = 0;
  std::vector<Frequencies> tables;
};

/// The scale whose tables and code are the smallest together, or all but: smaller ones are decoded faster.
Scale best_scale(std::vector<Cluster> const& clusters) {
  Scale best{0, std::numeric_limits<double>::infinity(), {}};
  for (unsigned scale = kRansScaleMin; scale <= kRansScaleMax; ++scale) {
    Scale next{scale, 0, {}};
    for (auto const& cluster : clusters) {
      next.tables.push_back(scaled(cluster.counts, scale));
      next.bits += table_bits(next.tables.back()) + coded_bits(cluster.counts, next.tables.back(), scale);
    }
    if (next.bits < best.bits * 0.999) best = std::move(next);
  }
  return best;
}

void write_map(std::vector<Cluster> const& clusters, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(clusters.size()));
  std::size_t context = 0;
  for (std::size_t t = 0; t < clusters.size(); ++t) {
    auto const end = t + 1 == clusters.size() ? 256 : clusters[t].last + 1;
    out.push_back(static_cast<std::uint8_t>(t));
    out.push_back(static_cast<std::uint8_t>(end - context - 1));
    context = end;
  }
}

struct Code {
  std::uint32_t frequency = 0, first = 0;
};

/// Backwards, so that the decoder goes forwards. C(s, x) = (x / f) 2^scale + x mod f + first.
void write_symbols(BytesView symbols, BytesView contexts, std::array<std::uint8_t, 256> const& map, std::vector<std::array<Code, 256>> const& codes, unsigned scale, Bytes& out) {
  std::array<std::uint32_t, kRansStates> states{};
  states.fill(kRansLow);
  std::vector<std::uint16_t> words;
  for (std::size_t i = symbols.size(); i-- > 0;) {
    auto const& code = codes[contexts.empty() ? 0 : map[contexts[i]]][symbols[i]];
    auto& state = states[i % kRansStates];
    // The state after must stay below 2^32: one word goes first where it would not.
    if (state >= std::uint64_t{code.frequency} << (32 - scale)) {
      words.push_back(static_cast<std::uint16_t>(state));
      state >>= 16;
    }
    state = ((state / code.frequency) << scale) + state % code.frequency + code.first;
  }
  for (auto const state : states)
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(state >> shift));
  for (std::size_t i = words.size(); i-- > 0;) {
    out.push_back(static_cast<std::uint8_t>(words[i]));
    out.push_back(static_cast<std::uint8_t>(words[i] >> 8));
  }
}

}  // namespace

std::optional<Bytes> rans_encode(BytesView symbols, BytesView contexts, std::size_t limit) {
  if (symbols.empty()) return {};
  std::vector<Cluster> clusters;
  if (contexts.empty()) {
    clusters.emplace_back();
    for (auto const symbol : symbols) ++clusters[0].counts[symbol];
  } else {
    clusters = clustered(symbols, contexts);
    if (clusters.size() == 1) return {};
  }
  double least = 8.0 * (1 + 4 * kRansStates);
  for (auto const& cluster : clusters) least += entropy_bits(cluster.counts);
  if (least >= 8.0 * static_cast<double>(limit)) return {};
  auto const best = best_scale(clusters);
  Bytes out{static_cast<std::uint8_t>(best.scale)};
  std::array<std::uint8_t, 256> map{};
  if (!contexts.empty()) write_map(clusters, out);
  BitWriter bits(out);
  std::vector<std::array<Code, 256>> codes;
  for (std::size_t t = 0; t < clusters.size(); ++t) {
    write_table(best.tables[t], bits);
    auto& code = codes.emplace_back();
    std::uint32_t sum = 0;
    for (std::size_t s = 0; s < 256; ++s) {
      code[s] = {best.tables[t][s], sum};
      sum += best.tables[t][s];
    }
    for (std::size_t c = clusters[t].first; c <= clusters[t].last; ++c) map[c] = static_cast<std::uint8_t>(t);
  }
  write_symbols(symbols, contexts, map, codes, best.scale, out);
  if (out.size() >= limit) return {};
  return out;
}

}  // namespace fleet::content
