#pragma once

#include "core/content/parts.hpp"
#include "core/content/recipe.hpp"
#include "core/crypto/data_key.hpp"

namespace fleet::content {

/// Makes blocks of a file as a recipe says. Verified in this order: the stored bytes' digest before any cipher or decoder sees them, the base range's digest before it is
/// used, the block's digest before it is given out. Never takes more than kAssemblerBytesMax.
class Assembler {
public:
  Assembler() = default;
  /// @param key  of the release whose files these are; nothing: none of its blocks is encrypted
  explicit Assembler(std::optional<crypto::DataKey> key) : key_(std::move(key)) {}
  /// @param block   of a recipe that the caller has verified
  /// @param stored  the block's stored range; empty for a block without one. May be a view into a whole wire object.
  /// @param base    the file that `block.base` names; null where there is none
  /// @returns the block's bytes, valid until the next call
  /// @errors unprocessable: `stored_mismatch` (fetch it again, elsewhere), `base_mismatch` (the base is not what it should be: fetch this stretch by another
  ///         route), `bad_block` (what is stored makes no sense, or not this block, or opens by no key that is here); io
  Result<BytesView> assemble(Block const& block, BytesView stored, Source* base);

private:
  Result<void> read_base(Block const& block, Source* base);
  Result<void> decode(Block const& block, BytesView stored);

  std::optional<crypto::DataKey> key_;
  Bytes output_, base_, opened_;
  PartsScratch scratch_;
};

}  // namespace fleet::content
