#include "core/content/recipe.hpp"

#include "core/content/varint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace fleet::content {
namespace {

constexpr std::string_view kMagic = "FLTRCP1\n";
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::array<std::string_view, 5> kMethods{"constant", "raw", "zstd", "copy", "parts"};
// A block's first byte: the method, whether it starts from a base, and whether what is stored is encrypted.
constexpr std::uint8_t kMethodMask = 0x0f, kHasBase = 0x10, kSealed = 0x20;

bool is_stored(Method method) { return method == Method::raw || method == Method::zstd || method == Method::parts; }

}  // namespace

std::string_view to_string(Method method) { return kMethods[static_cast<std::size_t>(method)]; }

Result<RecipeReader> RecipeReader::open(Source& recipe) {
  RecipeReader reader(recipe);
  if (recipe.size() > kRecipeBytesMax) return reader.bad(fmt::format("it has {} bytes, at most {}", recipe.size(), kRecipeBytesMax));
  FLEET_CHECK(reader.read_head());
  return reader;
}

Error RecipeReader::bad(std::string_view why) const {
  return {Kind::unprocessable, "bad_recipe", fmt::format("no recipe: byte {} of {}, block {}: {}", at_, recipe_->size(), index_, why)};
}

Result<std::uint8_t> RecipeReader::byte() {
  if (at_ < piece_at_ || at_ - piece_at_ >= piece_.size()) {
    if (at_ >= recipe_->size()) return bad("it ends here, in the middle");
    piece_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, recipe_->size() - at_)));
    piece_at_ = at_;
    if (auto const read = recipe_->read(at_, piece_); !read) {
      piece_.clear();
      return read.error();
    }
  }
  return piece_[static_cast<std::size_t>(at_++ - piece_at_)];
}

Result<std::uint64_t> RecipeReader::number(std::uint64_t limit, std::string_view what) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    FLEET_TRY(auto const next, byte());
    std::uint64_t const low = next & 0x7f;
    if (shift == 63 && low > 1) break;
    value |= low << shift;
    if ((next & 0x80) != 0) continue;
    if (value > limit) return bad(fmt::format("{} is {}, at most {}", what, value, limit));
    return value;
  }
  return bad(fmt::format("{} has more than 64 bits", what));
}

Result<Digest> RecipeReader::digest() {
  Digest out;
  for (auto& b : out.bytes) {
    FLEET_TRY(b, byte());
  }
  return out;
}

Result<void> RecipeReader::read_head() {
  for (char const c : kMagic) {
    FLEET_TRY(auto const b, byte());
    if (b != static_cast<std::uint8_t>(c)) return bad("it does not begin as one");
  }
  FLEET_TRY(head_.size, number(kOutputBytesMax, "the output's size"));
  FLEET_TRY(head_.sha256, digest());
  FLEET_TRY(head_.blocks, number(kBlocksMax, "the count of blocks"));
  FLEET_TRY(auto const bases, number(kBasesMax, "the count of bases"));
  for (std::uint64_t i = 0; i < bases; ++i) {
    BaseFile base;
    FLEET_TRY(base.sha256, digest());
    FLEET_TRY(base.size, number(kOutputBytesMax, "a base's size"));
    head_.bases.push_back(base);
  }
  FLEET_TRY(auto const segments, number(kSegmentsMax, "the count of segments"));
  for (std::uint64_t i = 0; i < segments; ++i) {
    Segment segment;
    FLEET_TRY(segment.sha256, digest());
    FLEET_TRY(auto const size, number(kSegmentBytesMax, "a segment's size"));
    segment.size = static_cast<std::uint32_t>(size);
    head_.segments.push_back(segment);
  }
  // So many blocks of so many bytes at most, and at least one byte each.
  if (head_.blocks > head_.size || head_.blocks * kBlockBytesMax < head_.size)
    return bad(fmt::format("{} blocks make no output of {} bytes", head_.blocks, head_.size));
  first_ = at_;
  return {};
}

void RecipeReader::rewind() {
  at_ = first_;
  index_ = output_at_ = base_at_ = stored_at_ = 0;
  segment_ = 0;
}

Result<std::optional<Block>> RecipeReader::next() {
  if (index_ == head_.blocks) {
    if (output_at_ != head_.size) return bad(fmt::format("the blocks have {} bytes, the output {}", output_at_, head_.size));
    if (at_ != recipe_->size()) return bad("something follows the last block");
    return std::optional<Block>{};
  }
  Block block;
  block.offset = output_at_;
  FLEET_TRY(auto const tag, byte());
  if ((tag & ~(kMethodMask | kHasBase | kSealed)) != 0 || (tag & kMethodMask) > static_cast<int>(Method::parts)) return bad(fmt::format("{} is no method", tag));
  block.method = static_cast<Method>(tag & kMethodMask);
  bool const has_base = (tag & kHasBase) != 0;
  if (has_base != (block.method == Method::copy) && block.method != Method::parts) return bad("a base where there is none, or none where there is one");
  block.sealed = (tag & kSealed) != 0;
  if (block.sealed && !is_stored(block.method)) return bad("a block is encrypted that stores nothing");
  FLEET_TRY(auto const length, number(std::min(kBlockBytesMax, head_.size - output_at_), "a block's length"));
  if (length == 0) return bad("a block is empty");
  block.length = static_cast<std::uint32_t>(length);
  FLEET_TRY(block.sha256, digest());
  if (block.method == Method::constant) {
    FLEET_TRY(block.value, byte());
  }
  if (has_base) FLEET_CHECK(read_base(block));
  if (is_stored(block.method)) FLEET_CHECK(read_stored(block));
  output_at_ += length;
  ++index_;
  return std::optional(block);
}

/// The offset counts from where the range before it ended, and its sign is its lowest bit. A copy's length and digest are the block's own.
Result<void> RecipeReader::read_base(Block& block) {
  if (head_.bases.empty()) return bad("a block has a base, the recipe none");
  FLEET_TRY(auto const file, number(head_.bases.size() - 1, "the base"));
  FLEET_TRY(auto const step, number(2 * kOutputBytesMax + 1, "the way to a base range"));
  BaseRange range;
  range.file = static_cast<std::uint32_t>(file);
  auto const size = head_.bases[range.file].size;
  range.offset = unzigzag_from(base_at_, step);
  if (range.offset > size) return bad(fmt::format("a base range begins at {} of {} bytes", range.offset, size));
  if (block.method == Method::copy) {
    range.length = block.length;
    range.sha256 = block.sha256;
  } else {
    FLEET_TRY(auto const length, number(kBaseRangeBytesMax, "a base range's length"));
    if (length == 0) return bad("a base range is empty");
    range.length = static_cast<std::uint32_t>(length);
    FLEET_TRY(range.sha256, digest());
  }
  if (range.length > size - range.offset) return bad(fmt::format("a base range ends past the base's {} bytes", size));
  base_at_ = range.offset + range.length;
  block.base = range;
  return {};
}

/// The segment counts from the one before, the offset from where the range before it ended in the same segment, else from 0. A raw block's length and digest are
/// the block's own, unless it is encrypted.
Result<void> RecipeReader::read_stored(Block& block) {
  if (head_.segments.empty()) return bad("a block is stored, and there is no segment");
  FLEET_TRY(auto const step, number(2 * kSegmentsMax + 1, "the way to a segment"));
  StoredRange range;
  auto const segment = unzigzag_from(segment_, step);
  if (segment >= head_.segments.size()) return bad(fmt::format("there is no segment {}", segment));
  range.segment = static_cast<std::uint32_t>(segment);
  auto const size = head_.segments[range.segment].size;
  FLEET_TRY(auto const way, number(2 * kSegmentBytesMax + 1, "the way to a stored range"));
  auto const offset = unzigzag_from(step == 0 ? stored_at_ : 0, way);
  if (offset > size) return bad(fmt::format("a stored range begins at {} of {} bytes", offset, size));
  range.offset = static_cast<std::uint32_t>(offset);
  if (block.method == Method::raw && !block.sealed) {
    range.length = block.length;
    range.sha256 = block.sha256;
  } else {
    FLEET_TRY(auto const length, number(kStoredBytesMax, "a stored range's length"));
    if (length == 0) return bad("a stored range is empty");
    range.length = static_cast<std::uint32_t>(length);
    FLEET_TRY(range.sha256, digest());
  }
  if (range.length > size - range.offset) return bad(fmt::format("a stored range ends past the segment's {} bytes", size));
  segment_ = range.segment;
  stored_at_ = range.offset + range.length;
  block.stored = range;
  return {};
}

Result<RecipeSummary> RecipeReader::check() {
  rewind();
  RecipeSummary summary;
  for (auto const& segment : head_.segments) summary.segment_bytes += segment.size;
  for (;;) {
    FLEET_TRY(auto const block, next());
    if (!block) break;
    std::uint64_t memory = block->length;
    if (block->stored) {
      summary.stored_bytes += block->stored->length;
      memory += (block->sealed ? 2 : 1) * std::uint64_t{block->stored->length};
    }
    if (block->method == Method::constant) summary.constant_bytes += block->length;
    if (block->method == Method::copy) summary.copied_bytes += block->length;
    if (block->method == Method::parts) memory += kDecoderBytes + 2 * std::uint64_t{block->length};
    if (block->method == Method::zstd) memory += kDecoderBytes;
    if (block->base && block->method == Method::parts) {
      summary.delta_bytes += block->length;
      memory += block->base->length;
    }
    summary.memory_bytes = std::max(summary.memory_bytes, memory);
  }
  rewind();
  return summary;
}

Result<std::vector<Block>> RecipeReader::all() {
  rewind();
  std::vector<Block> out;
  for (;;) {
    FLEET_TRY(auto const block, next());
    if (!block) break;
    out.push_back(*block);
  }
  rewind();
  return out;
}

namespace {

void put_digest(Bytes& out, Digest const& digest) { out.insert(out.end(), digest.bytes.begin(), digest.bytes.end()); }

void put_head(Bytes& out, RecipeHead const& head, std::size_t blocks) {
  for (char const c : kMagic) out.push_back(static_cast<std::uint8_t>(c));
  put_varint(out, head.size);
  put_digest(out, head.sha256);
  put_varint(out, blocks);
  put_varint(out, head.bases.size());
  for (auto const& base : head.bases) {
    put_digest(out, base.sha256);
    put_varint(out, base.size);
  }
  put_varint(out, head.segments.size());
  for (auto const& segment : head.segments) {
    put_digest(out, segment.sha256);
    put_varint(out, segment.size);
  }
}

}  // namespace

Bytes encode_recipe(RecipeHead const& head, std::vector<Block> const& blocks) {
  Bytes out;
  put_head(out, head, blocks.size());
  std::uint64_t base_at = 0, stored_at = 0, segment = 0;
  for (auto const& block : blocks) {
    out.push_back(static_cast<std::uint8_t>(static_cast<std::uint8_t>(block.method) | (block.base ? kHasBase : 0) | (block.sealed ? kSealed : 0)));
    put_varint(out, block.length);
    put_digest(out, block.sha256);
    if (block.method == Method::constant) out.push_back(block.value);
    if (block.base) {
      put_varint(out, block.base->file);
      put_varint(out, zigzag_to(base_at, block.base->offset));
      base_at = block.base->offset + block.base->length;
      if (block.method != Method::copy) {
        put_varint(out, block.base->length);
        put_digest(out, block.base->sha256);
      }
    }
    if (block.stored) {
      put_varint(out, zigzag_to(segment, block.stored->segment));
      put_varint(out, zigzag_to(segment == block.stored->segment ? stored_at : 0, block.stored->offset));
      segment = block.stored->segment;
      stored_at = std::uint64_t{block.stored->offset} + block.stored->length;
      if (block.method != Method::raw || block.sealed) {
        put_varint(out, block.stored->length);
        put_digest(out, block.stored->sha256);
      }
    }
  }
  return out;
}

}  // namespace fleet::content
