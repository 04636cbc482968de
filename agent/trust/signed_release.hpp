#pragma once

#include "agent/trust/remote.hpp"

#include <string>

namespace fleet::agent {

/// What a runtime needs to check by itself that a release is what its owners signed (docs/devices.md, Check it yourself), right after `fetch_release`: the metadata that names
/// it, as received, and the evidence that was published with it.
/// @param store_dir  where that metadata is kept
/// @errors as Remote::get; bad_input: what the server says of evidence is none
[[nodiscard]] Result<std::string> signed_release(Fs& fs, Remote& remote, std::string const& store_dir, std::string const& model, std::string const& digest);

}  // namespace fleet::agent
