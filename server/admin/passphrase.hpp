#pragma once

#include "core/crypto/key_files.hpp"
#include "server/admin/layout.hpp"

#include <optional>
#include <string>
#include <vector>

namespace fleet::admin {

/// The first line of a file; nothing when `path` is empty. @errors not_found, bad_input (shorter than 12 characters)
Result<std::optional<std::string>> read_passphrase(Fs& fs, std::string const& path);
/// How the private keys of a data folder lie there; `passphrase_file` empty: plain. @errors as KeyFiles::open, and read_passphrase
Result<crypto::KeyFiles> open_keys(Fs& fs, Random& random, Layout const& layout, std::string const& passphrase_file);
/// The paths of every private key in a data folder. @errors io
Result<std::vector<std::string>> list_keys(Fs& fs, Layout const& layout);

}  // namespace fleet::admin
