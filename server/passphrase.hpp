#pragma once

#include "core/base/fs.hpp"

#include <optional>
#include <string>

namespace fleet::server {

/// The first line of a file; nothing when `path` is empty. @errors not_found, bad_input (shorter than 12 characters)
Result<std::optional<std::string>> read_passphrase(Fs& fs, std::string const& path);

}  // namespace fleet::server
