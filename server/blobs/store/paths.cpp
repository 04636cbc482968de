#include "server/blobs/store/paths.hpp"

#include <fmt/format.h>

namespace fleet::blobs {

std::string relative_path(Name const& name) {
  auto const hex = name.sha256.hex();
  return fmt::format("blobs/{}/{}{}{}", hex.substr(0, 2), hex, name.generation.empty() ? "" : ".", name.generation);
}

std::string blob_path(std::string const& dir, Digest const& digest) { return dir + "/" + relative_path({digest, 0}); }

std::string upload_path(std::string const& dir, std::string_view id) { return fmt::format("{}/uploads/{}", dir, id); }

}  // namespace fleet::blobs
