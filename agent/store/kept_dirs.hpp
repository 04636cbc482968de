#pragma once

#include "core/base/fs.hpp"

#include <string>

namespace fleet::agent {

/// Makes `path` and sees to it that its name survives a power cut: each folder on the way from `top` down is synced.
/// @param top  `path` itself or a folder above it, made before
Result<void> make_kept_dirs(Fs& fs, std::string const& top, std::string const& path, unsigned permissions = 0755);

/// The same for a start, where a folder that is there is enough: a disk that fails now must not keep the agent from starting.
Result<void> find_or_make_dirs(Fs& fs, std::string const& top, std::string const& path, unsigned permissions = 0755);

}  // namespace fleet::agent
