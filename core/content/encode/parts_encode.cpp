#include "core/content/encode/parts_encode.hpp"

#include "core/content/encode/rans_encode.hpp"
#include "core/content/varint.hpp"
#include "core/content/zstd.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

namespace fleet::content {
namespace {

/// Tells whether zstd finds what repeats; if not, its entropy coder comes close to rANS and no level makes it better.
constexpr int kQuickLevel = 1;

/// A plane as it will be stored.
struct Coded {
  PlaneCoding coding = PlaneCoding::raw;
  std::uint8_t shift = 0;  ///< rans_base
  Bytes bytes;
};

std::uint64_t load(std::uint8_t const* at, unsigned width) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, width);
  return value;
}

/// One field of a group as integers to store, in the group's order, plane by plane.
Bytes planes_of(BytesView block, BytesView base, PartGroup const& group, std::uint32_t index, std::size_t field, std::span<Part const> parts) {
  static_assert(std::endian::native == std::endian::little);
  unsigned const width = group.fields[field].width;
  std::size_t const count = group.fields[field].count, record = record_bytes(group);
  std::size_t before = 0, total = 0;
  for (std::size_t f = 0; f < field; ++f) before += std::size_t{group.fields[f].width} * group.fields[f].count;
  for (auto const& part : parts)
    if (part.group == index) total += part.length / record * count;
  auto const mask = ~std::uint64_t{0} >> (64 - 8 * width);
  Bytes out(total * width);
  std::size_t at = 0;
  for (auto const& part : parts) {
    if (part.group != index) continue;
    for (std::size_t r = 0; r < part.length / record; ++r)
      for (std::size_t i = 0; i < count; ++i, ++at) {
        auto const place = r * record + before + i * width;
        auto value = load(block.data() + part.offset + place, width);
        if (group.has_base) {
          value = (value - load(base.data() + part.base + place, width)) & mask;
          value = (value << 1 ^ (value >> (8 * width - 1) != 0 ? mask : 0)) & mask;
        } else if (group.rotated && width > 1) {
          value = (value << 1 | value >> (8 * width - 1)) & mask;
        }
        for (unsigned p = 0; p < width; ++p) out[p * total + at] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - p)));
      }
  }
  return out;
}

/// Contexts cost a decoder a third more: they must save something.
std::size_t with_contexts_limit(Coded const& best) { return best.bytes.size() - best.bytes.size() / 200; }

void keep_smaller(Coded& best, PlaneCoding coding, std::optional<Bytes> bytes, std::uint8_t shift = 0) {
  if (bytes && bytes->size() < best.bytes.size()) best = {coding, shift, *std::move(bytes)};
}

void write(Coded const& coded, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(coded.coding));
  if (coded.coding == PlaneCoding::rans_base) out.push_back(coded.shift);
  bool const has_length = coded.coding != PlaneCoding::constant && coded.coding != PlaneCoding::raw && coded.coding != PlaneCoding::sparse;
  if (has_length) put_varint(out, coded.bytes.size());
  out.insert(out.end(), coded.bytes.begin(), coded.bytes.end());
}

bool is_constant(BytesView plane) {
  return std::all_of(plane.begin(), plane.end(), [&](std::uint8_t b) { return b == plane.front(); });
}

/// Constant to rans: what a plane is coded with that nothing stands beside.
Coded code_plain(BytesView plane, int level) {
  if (is_constant(plane)) return {PlaneCoding::constant, 0, {plane.front()}};
  Coded best{PlaneCoding::raw, 0, Bytes(plane.begin(), plane.end())};
  keep_smaller(best, PlaneCoding::rans, rans_encode(plane, {}, best.bytes.size()));
  auto quick = zstd_compress(plane, {}, kQuickLevel);
  bool const promising = quick.size() < best.bytes.size() + best.bytes.size() / 32 && quick.size() < plane.size();
  keep_smaller(best, PlaneCoding::zstd, std::move(quick));
  if (promising && level > kQuickLevel) keep_smaller(best, PlaneCoding::zstd, zstd_compress(plane, {}, level));
  return best;
}

/// A plane of which nearly all is one byte. It takes as much as rans, and next to no time to decode.
std::optional<Bytes> code_sparse(BytesView plane, int level) {
  std::array<std::size_t, 256> counts{};
  for (auto const b : plane) ++counts[b];
  auto const most = std::max_element(counts.begin(), counts.end());
  auto const others = plane.size() - *most;
  if (others > plane.size() / 10) return {};
  auto const common = static_cast<std::uint8_t>(most - counts.begin());
  Bytes where, what;
  std::size_t run = 0;
  for (auto const b : plane) {
    if (b == common) {
      if (++run == kSparseMore) {
        where.push_back(kSparseMore);
        run = 0;
      }
      continue;
    }
    where.push_back(static_cast<std::uint8_t>(run));
    what.push_back(b);
    run = 0;
  }
  while (!where.empty() && where.back() == kSparseMore) where.pop_back();
  if (where.size() + what.size() > plane.size() / kSparsePartMax) return {};
  Bytes out{common};
  put_varint(out, what.size());
  put_varint(out, where.size());
  write(code_plain(where, level), out);
  write(code_plain(what, level), out);
  return out;
}

/// What a plane can be coded with.
struct PlaneInput {
  BytesView plane, above, base;
  PartGroup const* group;
  std::uint32_t index;
  std::size_t field;
  std::span<Part const> parts;
  int level;
};

Coded code_plane(PlaneInput const& in) {
  auto best = code_plain(in.plane, in.level);
  if (best.coding == PlaneCoding::constant) return best;
  if (!in.above.empty()) keep_smaller(best, PlaneCoding::rans_above, rans_encode(in.plane, in.above, with_contexts_limit(best)));
  if (in.group->has_base) {
    // A float's exponent: with two bytes of bfloat16 and most of float16, with four of float32, with eight the lower bits of float64's. And one bit further down, for where
    // between two powers of two it lies.
    unsigned const width = in.group->fields[in.field].width;
    unsigned const exponent = width == 1 ? 0 : width == 2 ? 7 : width == 4 ? 23 : 52;
    Bytes contexts(in.plane.size());
    for (auto const shift : {exponent, exponent - 1}) {
      if (shift > exponent) break;
      base_contexts(*in.group, in.index, in.field, shift, in.parts, in.base, contexts);
      keep_smaller(best, PlaneCoding::rans_base, rans_encode(in.plane, contexts, with_contexts_limit(best)), static_cast<std::uint8_t>(shift));
    }
  }
  if (auto sparse = code_sparse(in.plane, in.level); sparse && sparse->size() <= best.bytes.size() + best.bytes.size() / 200 + 4)
    best = {PlaneCoding::sparse, 0, *std::move(sparse)};
  if (!in.base.empty() && in.group->fields[in.field].width == 1 && !in.group->has_base)
    keep_smaller(best, PlaneCoding::zstd_base, zstd_compress(in.plane, in.base, in.level));
  return best;
}

void write_groups(std::vector<PartGroup> const& groups, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(groups.size()));
  for (auto const& group : groups) {
    out.push_back(static_cast<std::uint8_t>((group.has_base ? kGroupHasBase : 0) | (group.rotated ? kGroupRotated : 0)));
    out.push_back(static_cast<std::uint8_t>(group.fields.size()));
    for (auto const& field : group.fields) {
      out.push_back(field.width);
      put_varint(out, field.count);
    }
  }
}

void write_parts(std::vector<PartGroup> const& groups, std::vector<Part> const& parts, Bytes& out) {
  Bytes list;
  std::uint64_t base_at = 0;
  for (auto const& part : parts) {
    put_varint(list, part.group);
    put_varint(list, part.length);
    if (!groups[part.group].has_base) continue;
    put_varint(list, zigzag_to(base_at, part.base));
    base_at = std::uint64_t{part.base} + part.length;
  }
  auto const decoded = list.size();
  bool raw = true;
  if (decoded > 64)
    if (auto smaller = zstd_compress(list, {}, 19); smaller.size() < decoded) {
      list = std::move(smaller);
      raw = false;
    }
  put_varint(out, parts.size());
  put_varint(out, list.size());
  put_varint(out, raw ? 0 : decoded);
  out.insert(out.end(), list.begin(), list.end());
}

}  // namespace

Bytes encode_parts(BytesView block, BytesView base, std::vector<PartGroup> const& groups, std::vector<Part> const& parts, int level) {
  Bytes out;
  write_groups(groups, out);
  write_parts(groups, parts, out);
  for (std::uint32_t g = 0; g < groups.size(); ++g)
    for (std::size_t f = 0; f < groups[g].fields.size(); ++f) {
      auto const planes = planes_of(block, base, groups[g], g, f, parts);
      auto const count = planes.size() / groups[g].fields[f].width;
      for (std::size_t p = 0; p < groups[g].fields[f].width; ++p) {
        auto const plane = BytesView(planes).subspan(p * count, count);
        auto const above = p > 0 ? BytesView(planes).subspan((p - 1) * count, count) : BytesView{};
        write(code_plane({plane, above, base, &groups[g], g, f, parts, level}), out);
      }
    }
  return out;
}

}  // namespace fleet::content
