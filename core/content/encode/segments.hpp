#pragma once

#include "core/content/recipe.hpp"
#include "core/crypto/data_key.hpp"

#include <functional>
#include <map>
#include <vector>

namespace fleet::content {

/// A block, encoded: `block` without its `stored` place, which the recipe's builder gives it.
struct EncodedBlock {
  Block block;   ///< `offset` and the place in `stored` are not set, its length and digest are
  Bytes stored;  ///< empty for constant and copy
};

/// The same block, with what is stored of it encrypted.
[[nodiscard]] EncodedBlock seal(EncodedBlock block, crypto::DataKey const& key);

/// Puts encoded blocks into wire objects, in order, and writes the recipe. Takes one wire object's bytes and 150 bytes a block.
class RecipeBuilder {
public:
  /// Takes a finished wire object. It may be given one that it was given before.
  using Sink = std::function<Result<void>(Digest const&, BytesView)>;

  /// @param sha256, size  of the whole output
  /// @param bases         what `BaseRange::file` counts in
  RecipeBuilder(Digest const& sha256, std::uint64_t size, std::vector<BaseFile> bases, Sink sink);
  /// Goes on from a checkpoint of the same output and bases. @errors unprocessable (`bad_recipe`) for what is none; conflict for another's
  Result<void> resume(BytesView checkpoint);

  /// How many blocks were added: the index of the next.
  [[nodiscard]] std::size_t blocks() const { return blocks_.size(); }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  /// The next block of the output. @errors what the sink says
  Result<void> add(EncodedBlock encoded);
  /// Finishes the open wire object (a checkpoint makes one that is not full) and writes what was done so far. @errors what the sink says
  Result<Bytes> checkpoint();
  /// The recipe, once every block was added. @errors what the sink says; internal where the blocks are not the whole output
  Result<Bytes> finish();

private:
  static constexpr std::uint32_t kOpen = 0xffff'ffff;  ///< in `stored->segment`: the one that is being filled
  Result<void> flush();
  std::uint32_t segment_index(Segment const& segment);

  RecipeHead head_;
  Sink sink_;
  std::map<Digest, std::uint32_t> indexes_;  ///< of segments
  std::vector<Block> blocks_;
  std::uint64_t offset_ = 0;
  Bytes open_;                  ///< the wire object that is being filled
  std::size_t open_first_ = 0;  ///< the first block that may lie in it
};

}  // namespace fleet::content
