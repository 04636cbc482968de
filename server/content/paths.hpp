#pragma once

#include "core/base/bytes.hpp"
#include "server/blobs/store/blob_store.hpp"

#include <fmt/format.h>

#include <string>

namespace fleet::routes {

/// What lies below `content/`, where every node sees it if a folder is shared, else in the data folder.
[[nodiscard]] inline std::string content_root(std::string const& data_dir, blobs::BlobStore const& blobs) {
  auto shared = blobs.shared_folder();
  return shared.empty() ? data_dir : shared;
}
/// DIR/content: what can be made again.
[[nodiscard]] inline std::string content_dir(std::string const& data_dir) { return data_dir + "/content"; }
/// DIR/content/objects/ab/abcdef...: recipes and wire objects that routes name.
[[nodiscard]] inline std::string object_path(std::string const& data_dir, Digest const& digest) {
  auto const hex = digest.hex();
  return fmt::format("{}/objects/{}/{}", content_dir(data_dir), hex.substr(0, 2), hex);
}
/// DIR/content/work/N: of a recipe that is being made, until it is done.
[[nodiscard]] inline std::string work_dir(std::string const& data_dir, std::int64_t n) { return fmt::format("{}/work/{}", content_dir(data_dir), n); }

}  // namespace fleet::routes
