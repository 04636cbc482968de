#pragma once

#include "core/content/encode/match.hpp"

namespace fleet::content {

/// A stretch of a block: of a tensor or between two.
struct Piece {
  std::uint32_t length = 0;  ///< whole records of its type
  tensors::Type type = tensors::Type::bytes;
  std::optional<std::uint64_t> base;  ///< offset in the block's base file
};
/// What one block is made from.
struct Step {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  bool search = false;            ///< no tensors: the base is found by content
  std::uint32_t file = 0;         ///< base file of the pieces
  std::vector<Piece> pieces;
};

/// Cuts regions into blocks: at most kBlockBytesMax each, whole records, one base file, base stretches that lie within kBaseRangeBytesMax.
[[nodiscard]] std::vector<Step> plan_blocks(std::vector<Region> const& regions);

}  // namespace fleet::content
