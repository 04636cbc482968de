#pragma once

#include "core/content/parts.hpp"

namespace fleet::content {

/// The groups that similar_parts counts in: bytes that differ from the base's, and bytes of their own.
inline constexpr std::uint32_t kDifferentGroup = 0, kOwnGroup = 1;
[[nodiscard]] std::vector<PartGroup> similar_groups();

/// Cuts a block into stretches that are nearly those of the base, wherever they lie there, and what is between them: code whose addresses changed differs in a few bytes of
/// each instruction (Percival, "Naive differences of executable code", 2003). Takes 12 bytes a byte of the base.
[[nodiscard]] std::vector<Part> similar_parts(BytesView block, BytesView base);

}  // namespace fleet::content
