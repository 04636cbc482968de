#pragma once

#include "core/content/source.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace fleet::content {

/// A recipe says how one file is made, block by block: from bytes that wire objects hold, from files that are there already, or from both. Chunks, tensor
/// deltas, binary deltas and whole files in a compressed form are all recipes; they differ in what their blocks refer to. Integers are LEB128, digests
/// SHA-256. Format and reasons: ADR 35.
inline constexpr std::uint64_t kBlockBytesMax = 1U << 20;       ///< one block of the output
inline constexpr std::uint64_t kBaseRangeBytesMax = 2U << 20;   ///< what one block may need of a base file
inline constexpr std::uint64_t kStoredBytesMax = kBlockBytesMax + 64 * 1024;  ///< one block as a wire object holds it
inline constexpr std::uint64_t kSegmentBytesMax = 4U << 20;     ///< one wire object
inline constexpr std::uint64_t kOutputBytesMax = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kRecipeBytesMax = 256U << 20;
inline constexpr std::size_t kBasesMax = 64;
inline constexpr std::size_t kSegmentsMax = 1U << 18;
inline constexpr std::uint64_t kBlocksMax = 1U << 24;
/// What an Assembler takes at most besides its caller's bytes of one wire object, whatever the file's size.
inline constexpr std::uint64_t kAssemblerBytesMax = 8U << 20;
/// Of that, what decoders take besides a block's own bytes: tables, lists, zstd's state.
inline constexpr std::uint64_t kDecoderBytes = 5U << 19;

/// How a block's bytes come to be. Numbers are of the format.
enum class Method : std::uint8_t {
  constant = 0,  ///< one byte, repeated
  raw = 1,       ///< stored as they are
  zstd = 2,      ///< one zstd frame (RFC 8878) with its content size, without dictionary
  copy = 3,      ///< the base range as it is
  parts = 4,     ///< streams of integers, with or without a base to add to (parts.hpp)
};
[[nodiscard]] std::string_view to_string(Method method);

/// A file that blocks start from.
struct BaseFile {
  Digest sha256;
  std::uint64_t size = 0;
  bool operator==(BaseFile const&) const = default;
};
/// A wire object: immutable, named by the SHA-256 of its bytes.
struct Segment {
  Digest sha256;
  std::uint32_t size = 0;
  bool operator==(Segment const&) const = default;
};
/// What a block needs of a base file: `file` is an index into the recipe's bases.
struct BaseRange {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  Digest sha256;  ///< of the range
  bool operator==(BaseRange const&) const = default;
};
/// Where a block's bytes lie: `segment` is an index into the recipe's segments.
struct StoredRange {
  std::uint32_t segment = 0, offset = 0, length = 0;
  Digest sha256;  ///< of the range, so that it can be fetched alone and is verified before a decoder sees it
  bool operator==(StoredRange const&) const = default;
};
struct Block {
  std::uint64_t offset = 0;  ///< in the output: where the block before it ends
  std::uint32_t length = 0;  ///< 1 to kBlockBytesMax
  Digest sha256;             ///< of the block's output
  Method method = Method::raw;
  std::uint8_t value = 0;             ///< constant
  std::optional<BaseRange> base;      ///< copy; parts that have one
  std::optional<StoredRange> stored;  ///< raw, zstd, parts
  bool sealed = false;                ///< what is stored is encrypted with the data key of its release (crypto::DataKey)
  bool operator==(Block const&) const = default;
};

/// What stands before the blocks.
struct RecipeHead {
  Digest sha256;           ///< of the whole output
  std::uint64_t size = 0;  ///< of the whole output
  std::uint64_t blocks = 0;
  std::vector<BaseFile> bases;
  std::vector<Segment> segments;
  bool operator==(RecipeHead const&) const = default;
};

/// What following a recipe costs.
struct RecipeSummary {
  std::uint64_t stored_bytes = 0;    ///< to be fetched, if every block's range is
  std::uint64_t segment_bytes = 0;   ///< to be fetched, if every wire object is, whole
  std::uint64_t copied_bytes = 0;    ///< of the output, taken from a base as they are
  std::uint64_t constant_bytes = 0;  ///< of the output
  std::uint64_t delta_bytes = 0;     ///< of the output, made from a base and stored bytes
  std::uint64_t memory_bytes = 0;    ///< what an Assembler takes for its largest block, one wire object's range included
};

/// Reads a recipe whose digest the caller has verified, one block after another, in constant memory but for the head's lists. It trusts no length all the
/// same: what is out of bounds is refused.
class RecipeReader {
public:
  /// Reads the head. @errors unprocessable (code `bad_recipe`) with the byte where it stops making sense; io
  [[nodiscard]] static Result<RecipeReader> open(Source& recipe);
  [[nodiscard]] RecipeHead const& head() const { return head_; }
  /// The next block; nothing after the last. Ranges lie within their base and segment; after the last block the output is complete and no byte is left over.
  /// @errors as open
  Result<std::optional<Block>> next();
  /// Back to the first block.
  void rewind();
  /// Reads all blocks once and rewinds: nothing of a recipe that does not hold to the end needs to be begun. @errors as open
  Result<RecipeSummary> check();
  /// All blocks, for recipes that are known to be small: 150 bytes each. @errors as open
  Result<std::vector<Block>> all();

private:
  explicit RecipeReader(Source& recipe) : recipe_(&recipe) {}
  Result<void> read_head();
  Result<void> read_base(Block& block);
  Result<void> read_stored(Block& block);
  Result<std::uint8_t> byte();
  Result<std::uint64_t> number(std::uint64_t limit, std::string_view what);
  Result<Digest> digest();
  [[nodiscard]] Error bad(std::string_view why) const;

  Source* recipe_;
  RecipeHead head_;
  std::uint64_t first_ = 0;  ///< where the first block's record begins
  std::uint64_t at_ = 0;
  std::uint64_t index_ = 0, output_at_ = 0, base_at_ = 0, stored_at_ = 0;
  std::uint32_t segment_ = 0;
  std::uint64_t piece_at_ = 0;
  Bytes piece_;  ///< what was read ahead
};

/// A recipe's bytes. `head.blocks` is counted here.
[[nodiscard]] Bytes encode_recipe(RecipeHead const& head, std::vector<Block> const& blocks);

}  // namespace fleet::content
