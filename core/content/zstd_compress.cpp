#include "core/content/zstd.hpp"

#include <zstd.h>

#include <memory>
#include <new>
#include <stdexcept>

namespace fleet::content {

Bytes zstd_compress(BytesView input, BytesView prefix, int level) {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> const context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  if (!context) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  if (!prefix.empty()) {
    // The window must reach over input and prefix: 1 MiB + 2 MiB.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 22);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_refPrefix(context.get(), prefix.data(), prefix.size());
  }
  Bytes out(ZSTD_compressBound(input.size()));
  auto const size = ZSTD_compress2(context.get(), out.data(), out.size(), input.data(), input.size());
  if (ZSTD_isError(size) != 0) throw std::runtime_error(ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace fleet::content
