#pragma once

#include "core/content/source.hpp"

#include <cstdint>
#include <vector>

namespace fleet::content {

inline constexpr std::size_t kChunkBytesMin = 16U << 10, kChunkBytesNormal = 64U << 10, kChunkBytesMax = 256U << 10;

/// How long the first chunk of `bytes` is, cut by content: a gear hash of the last bytes, harder to meet before the normal size than past it (Xia et al.,
/// "FastCDC", USENIX ATC 2016). @param bytes  all that is left, or at least kChunkBytesMax of it
[[nodiscard]] std::size_t first_chunk(BytesView bytes);

/// Where the chunks of a file end, in order. `edges` (sorted) are cut at, too. @errors io
[[nodiscard]] Result<std::vector<std::uint64_t>> cut_chunks(Source& file, std::vector<std::uint64_t> const& edges);

}  // namespace fleet::content
