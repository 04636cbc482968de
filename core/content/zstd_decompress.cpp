#include "core/content/zstd.hpp"

#include <zstd.h>

#include <memory>

namespace fleet::content {

bool zstd_decompress(BytesView frame, BytesView prefix, std::span<std::uint8_t> out) {
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != out.size()) return false;
  // One frame: what follows it would be decoded, too, or skipped.
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) return false;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> const context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) return false;
  if (!prefix.empty() && ZSTD_isError(ZSTD_DCtx_refPrefix(context.get(), prefix.data(), prefix.size())) != 0) return false;
  return ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size()) == out.size();
}

}  // namespace fleet::content
