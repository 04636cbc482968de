#pragma once

#include "core/base/fs.hpp"
#include "core/base/kernel.hpp"

/// Folders that another user may write to. Nothing in them is reached by a path, which he could bend while we walk it: only below an open
/// folder, without following links, and what was opened is looked at before it is believed.
namespace fleet::foreign {

/// Removes `path` and all below it. Fine if absent; a link is removed, never followed; another file system is left alone. The parent of
/// `path` must be ours alone. Needs two descriptors and no more memory, however deep the folder is.
[[nodiscard]] Result<void> remove_tree(Kernel& kernel, std::string const& path);
/// Fs::make_private_dir
[[nodiscard]] Result<void> make_private_dir(Kernel& kernel, std::string const& path, Owner owner);
/// Fs::narrow_dir
[[nodiscard]] Result<void> narrow_dir(Kernel& kernel, std::string const& path, unsigned permissions);
/// Fs::read_own
[[nodiscard]] Result<std::string> read_own(Kernel& kernel, std::string const& path, std::uint64_t limit, Owner owner);

}  // namespace fleet::foreign
