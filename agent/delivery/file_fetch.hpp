#pragma once

#include "agent/delivery/fetcher.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <string>

namespace fleet::agent {

/// Fetches a file as it is, on from what lies at `path`, from one source after the other until the bytes are right: a source that fails, or brings
/// what is not the file, is passed over for the next and left alone for a while.
/// @param left  bytes that are still to come, kept as they come
/// @errors as download
Result<void> fetch_file(Fetcher const& with, wire::ReleaseFile const& file, std::string const& path, std::atomic<std::uint64_t>& left);

}  // namespace fleet::agent
