#pragma once

#include "agent/delivery/sources.hpp"
#include "agent/delivery/throttle.hpp"
#include "agent/trust/remote.hpp"
#include "core/wire/release.hpp"

#include <functional>
#include <string>

namespace fleet::agent {

/// What one thread fetches with.
struct Fetcher {
  Fs& fs;
  Remote& remote;
  Sources& sources;
  Throttle& throttle;
  std::function<Result<void>()> const& may_go_on;  ///< asked at every piece; its error ends the download; may be empty
  std::atomic<bool> const& stop;
};

/// A sync cannot be interrupted: none has more than that to write.
inline constexpr std::uint64_t kSyncEvery = 8 * 1024 * 1024;
inline constexpr std::uint64_t kPieceBytes = 256 * 1024;

/// Fetches a file as it is, on from what lies at `path`, from one source after the other until the bytes are right: a source that fails, or brings
/// what is not the file, is passed over for the next and left alone for a while.
/// @errors as download
Result<void> fetch_file(Fetcher const& with, wire::ReleaseFile const& file, std::string const& path);

}  // namespace fleet::agent
