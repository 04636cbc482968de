#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"

#include <string>

namespace fleet::blobs {

/// DIR/blobs/ab/abcdef...: where the bytes of a digest lie.
[[nodiscard]] std::string blob_path(std::string const& data_dir, Digest const& digest);
/// DIR/uploads/ID: what has arrived of an upload.
[[nodiscard]] std::string upload_path(std::string const& data_dir, std::string_view id);

}  // namespace fleet::blobs
