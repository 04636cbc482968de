#pragma once

#include "core/content/rans.hpp"

#include <optional>

namespace fleet::content {

/// `symbols` in the form that rans_decode reads, or nothing where they (or their tables) would take `limit` bytes or more.
/// @param contexts  a byte a symbol, or empty; contexts whose symbols are alike share a table
[[nodiscard]] std::optional<Bytes> rans_encode(BytesView symbols, BytesView contexts, std::size_t limit);

}  // namespace fleet::content
