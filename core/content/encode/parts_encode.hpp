#pragma once

#include "core/content/parts.hpp"

namespace fleet::content {

/// `block` in the form that decode_parts reads: each plane in its smallest coding.
/// @param parts  cover the block in order; their lengths are whole records of their group
/// @param level  of zstd, where it is worth while
[[nodiscard]] Bytes encode_parts(BytesView block, BytesView base, std::vector<PartGroup> const& groups, std::vector<Part> const& parts, int level);

}  // namespace fleet::content
