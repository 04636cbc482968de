#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace fleet::cli {

/// A file that will be part of a release.
struct LocalFile {
  std::string name;  ///< in the release: relative, with /
  std::string path;  ///< on this machine
  Digest sha256{};
  std::uint64_t size = 0;
  bool executable = false;
};

/// A link that stays one: its target is relative and leads to something in the same tree.
struct LocalLink {
  std::string name, target;
};

/// What a path given to `--variant` holds.
struct LocalTree {
  std::vector<LocalFile> files;      ///< by name
  std::vector<std::string> folders;  ///< those that hold nothing, by name
  std::vector<LocalLink> links;      ///< by name
  int followed = 0;                  ///< links that lead out of the tree
};

/// A file, or every file below a folder with its tree, not yet hashed. Links that lead to something in the same tree are kept. Others are followed, to files
/// and to folders: what they lead to is published under the link's name, as hubs' caches, data-version tools and build tools have their files.
/// @param path  absolute
/// @errors not_found, bad_input (`bad_file`: a link that leads nowhere or in a circle, a device, no file at all, too many; `bad_file_name`), io
[[nodiscard]] Result<LocalTree> read_tree(Fs& fs, std::string const& path);
/// Reads each file whole and sets its digest and size.
[[nodiscard]] Result<void> hash_files(Fs& fs, std::vector<LocalFile>& files);

}  // namespace fleet::cli
