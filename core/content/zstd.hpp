#pragma once

#include "core/base/bytes.hpp"

#include <span>

namespace fleet::content {

/// One frame (RFC 8878) that fills `out` exactly and leaves nothing over. Single calls: the window is `out`, no memory but the decoder's own 160 KB is taken.
/// @param prefix  what the frame refers back to, as if it stood before the output; may be empty
/// @returns false for whatever else `frame` is
[[nodiscard]] bool zstd_decompress(BytesView frame, BytesView prefix, std::span<std::uint8_t> out);

/// One frame with its content size, without checksum. For whom prepares content; devices do not link it.
/// @param prefix  at most kBaseRangeBytesMax; the decoder must be given the same
[[nodiscard]] Bytes zstd_compress(BytesView input, BytesView prefix, int level);

}  // namespace fleet::content
