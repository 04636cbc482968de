#pragma once

#include "core/content/encode/plan.hpp"
#include "core/content/encode/segments.hpp"

namespace fleet::content {

/// What a block may start from: a stretch of a base file that was read.
struct BaseWindow {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  BytesView bytes;
};

/// The smallest form of a block: constant, copied, parts with and without the base, zstd, raw. `pieces` cover it; without any it is bytes.
[[nodiscard]] EncodedBlock encode_block(BytesView block, std::vector<Piece> const& pieces, std::optional<BaseWindow> const& base, int level);

}  // namespace fleet::content
