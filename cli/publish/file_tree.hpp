#pragma once

#include "core/base/fs.hpp"
#include "core/crypto/hash.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fleet::cli {

/// A file that will be part of a release.
struct LocalFile {
  std::string name;  ///< in the release: relative, with /
  std::string path;  ///< on this machine
  Digest sha256;
  std::uint64_t size = 0;
  bool executable = false;
};

/// A file, or every file below a folder with its tree, sorted by name, each hashed. Links and special files are refused: what a link
/// leads to is not what was published.
/// @errors not_found, bad_input (a link, no file at all, a name that is not safe, too many), io
[[nodiscard]] Result<std::vector<LocalFile>> read_tree(Fs& fs, std::string const& path);

}  // namespace fleet::cli
