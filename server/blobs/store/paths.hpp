#pragma once

#include "core/base/bytes.hpp"

#include <string>
#include <string_view>

namespace fleet::blobs {

/// What the bytes of a blob are called in a store. Where several processes write, a name ends in a generation, which is used once: what removes a former one late hits nothing
/// that lives (docs/adr/0057).
struct Name {
  Digest sha256;
  std::uint64_t size = 0;
  std::string generation = {};  ///< empty: in a folder that is one process's own
};

/// `blobs/ab/abcdef...[.GENERATION]`: below a folder, or a prefix of a bucket.
[[nodiscard]] std::string relative_path(Name const& name);
/// DIR/blobs/ab/abcdef...: where the bytes of a digest lie in a folder of one's own.
[[nodiscard]] std::string blob_path(std::string const& dir, Digest const& digest);
/// DIR/uploads/ID: what has arrived of an upload.
[[nodiscard]] std::string upload_path(std::string const& dir, std::string_view id);

}  // namespace fleet::blobs
