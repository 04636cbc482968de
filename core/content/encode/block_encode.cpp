#include "core/content/encode/block_encode.hpp"

#include "core/content/encode/parts_encode.hpp"
#include "core/content/encode/similar.hpp"
#include "core/content/zstd.hpp"
#include "core/crypto/hash.hpp"

#include <algorithm>
#include <array>

namespace fleet::content {
namespace {

/// So much of a tensor that is as it was, at least, is a part of its own.
constexpr std::size_t kSameBytesMin = 4096, kSameStepBytes = 512;
constexpr int kQuickLevel = 1;

/// Collects parts into groups of one kind.
class Grouping {
public:
  void add(tensors::Type type, bool has_base, std::size_t length, std::size_t base) {
    auto const g = group_of(type, has_base);
    auto const same = !parts_.empty() && parts_.back().group == g && (!has_base || parts_.back().base + parts_.back().length == base);
    if (same) parts_.back().length += static_cast<std::uint32_t>(length);
    else parts_.push_back({g, static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(offset_), static_cast<std::uint32_t>(base)});
    offset_ += length;
  }
  [[nodiscard]] bool fits() const { return groups_.size() <= kGroupsMax && parts_.size() <= kPartsMax; }
  [[nodiscard]] std::vector<PartGroup> const& groups() const { return groups_; }
  [[nodiscard]] std::vector<Part> const& parts() const { return parts_; }

private:
  std::uint32_t group_of(tensors::Type type, bool has_base) {
    auto const& record = tensors::record_of(type);
    for (std::uint32_t g = 0; g < groups_.size(); ++g)
      if (types_[g] == std::pair(type, has_base)) return g;
    PartGroup group{has_base, !has_base && is_float(type), {}};
    for (auto const& field : record) group.fields.push_back({field.width, field.count});
    groups_.push_back(std::move(group));
    types_.emplace_back(type, has_base);
    return static_cast<std::uint32_t>(groups_.size() - 1);
  }
  static bool is_float(tensors::Type type) { return type != tensors::Type::i16 && type != tensors::Type::i32 && type != tensors::Type::i64; }

  std::vector<std::pair<tensors::Type, bool>> types_;
  std::vector<PartGroup> groups_;
  std::vector<Part> parts_;
  std::size_t offset_ = 0;
};

/// Adds one piece that has a base: what is as it was goes to the bytes that differ by nothing, and costs nothing.
void add_split(Grouping& grouping, tensors::Type type, BytesView block, BytesView base, std::size_t base_at) {
  auto const record = tensors::record_bytes(type);
  auto const step = (kSameStepBytes + record - 1) / record * record;
  std::size_t begin = 0;  // of what is not added yet
  for (std::size_t at = 0; at < block.size();) {
    auto const same_from = at;
    while (at < block.size() && std::equal(block.begin() + static_cast<std::ptrdiff_t>(at), block.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, block.size())),
                                           base.begin() + static_cast<std::ptrdiff_t>(at)))
      at = std::min(at + step, block.size());
    if (at - same_from >= kSameBytesMin || (same_from == 0 && at == block.size())) {
      if (same_from > begin) grouping.add(type, true, same_from - begin, base_at + begin);
      grouping.add(tensors::Type::bytes, true, at - same_from, base_at + same_from);
      begin = at;
    }
    at = std::min(at + step, block.size());
  }
  if (begin < block.size()) grouping.add(type, true, block.size() - begin, base_at + begin);
}

struct Best {
  Method method = Method::raw;
  bool uses_base = false;
  Bytes bytes;

  void offer(Method other, bool with_base, Bytes stored) {
    // A base costs its digest and place.
    if (stored.size() + (with_base ? 40 : 0) >= bytes.size() + (uses_base ? 40 : 0)) return;
    method = other;
    uses_base = with_base;
    bytes = std::move(stored);
  }
};

void offer_grouping(Best& best, BytesView block, BytesView base, Grouping const& grouping, int level) {
  if (!grouping.fits()) return;
  auto const with_base = std::any_of(grouping.groups().begin(), grouping.groups().end(), [](PartGroup const& group) { return group.has_base; });
  best.offer(Method::parts, with_base || !base.empty(), encode_parts(block, base, grouping.groups(), grouping.parts(), level));
}

void offer_pieces(Best& best, BytesView block, std::vector<Piece> const& pieces, std::optional<BaseWindow> const& base, int level) {
  Grouping with, without;
  std::size_t at = 0;
  bool any = false;
  for (auto const& piece : pieces) {
    if (base && piece.base) {
      auto const base_at = static_cast<std::size_t>(*piece.base - base->offset);
      add_split(with, piece.type, block.subspan(at, piece.length), base->bytes.subspan(base_at, piece.length), base_at);
      any = true;
    } else {
      with.add(piece.type, false, piece.length, 0);
    }
    without.add(piece.type, false, piece.length, 0);
    at += piece.length;
  }
  if (any) offer_grouping(best, block, base->bytes, with, level);
  // What is so small with its base is not smaller without.
  if (best.bytes.size() > block.size() / 2) offer_grouping(best, block, {}, without, level);
}

void offer_similar(Best& best, BytesView block, BytesView base, int level) {
  auto parts = similar_parts(block, base);
  if (parts.size() > kPartsMax) return;
  auto groups = similar_groups();
  // A group without parts is none.
  for (auto const unused : {kOwnGroup, kDifferentGroup}) {
    if (std::any_of(parts.begin(), parts.end(), [&](Part const& part) { return part.group == unused; })) continue;
    groups.erase(groups.begin() + unused);
    for (auto& part : parts) part.group = 0;
  }
  best.offer(Method::parts, true, encode_parts(block, base, groups, parts, level));
}

bool is_copy(BytesView block, std::vector<Piece> const& pieces, BaseWindow const& base, std::size_t& from) {
  if (pieces.empty() || !pieces.front().base) return false;
  auto at = *pieces.front().base;
  from = static_cast<std::size_t>(at - base.offset);
  for (auto const& piece : pieces) {
    if (piece.base != at) return false;
    at += piece.length;
  }
  return std::equal(block.begin(), block.end(), base.bytes.begin() + static_cast<std::ptrdiff_t>(from));
}

}  // namespace

EncodedBlock encode_block(BytesView block, std::vector<Piece> const& pieces, std::optional<BaseWindow> const& base, int level) {
  EncodedBlock out;
  out.block.length = static_cast<std::uint32_t>(block.size());
  out.block.sha256 = crypto::sha256(block);
  if (std::all_of(block.begin(), block.end(), [&](std::uint8_t b) { return b == block.front(); })) {
    out.block.method = Method::constant;
    out.block.value = block.front();
    return out;
  }
  std::size_t from = 0;
  if (base && is_copy(block, pieces, *base, from)) {
    out.block.method = Method::copy;
    out.block.base = BaseRange{base->file, base->offset + from, out.block.length, out.block.sha256};
    return out;
  }
  Best best{Method::raw, false, Bytes(block.begin(), block.end())};
  if (pieces.empty()) {
    Grouping bytes;
    bytes.add(tensors::Type::bytes, false, block.size(), 0);
    if (base) {
      offer_similar(best, block, base->bytes, level);
      offer_grouping(best, block, base->bytes, bytes, level);
    }
    offer_grouping(best, block, {}, bytes, level);
  } else {
    offer_pieces(best, block, pieces, base, level);
  }
  // A quick look first: of integers next to nothing repeats.
  auto const quick = zstd_compress(block, {}, kQuickLevel);
  if (quick.size() < best.bytes.size() + best.bytes.size() / 8) best.offer(Method::zstd, false, zstd_compress(block, {}, level));
  out.block.method = best.method;
  out.stored = std::move(best.bytes);
  if (best.uses_base) out.block.base = BaseRange{base->file, base->offset, static_cast<std::uint32_t>(base->bytes.size()), crypto::sha256(base->bytes)};
  return out;
}

}  // namespace fleet::content
