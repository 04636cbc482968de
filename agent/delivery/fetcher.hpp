#pragma once

#include "agent/delivery/sources.hpp"
#include "agent/delivery/throttle.hpp"
#include "agent/trust/remote.hpp"

#include <atomic>
#include <functional>
#include <string_view>

namespace fleet::agent {

/// A sync cannot be interrupted: none has more than that to write.
inline constexpr std::uint64_t kSyncEvery = 8 * 1024 * 1024;
inline constexpr std::uint64_t kPieceBytes = 256 * 1024;

/// What one thread fetches with.
struct Fetcher {
  Fs& fs;
  Remote& remote;
  Sources& sources;
  Throttle& throttle;
  /// Asked at every piece, and with `more` where more is to be fetched than was said: its error ends the download.
  std::function<Result<void>(bool more)> const& may_go_on;
  std::atomic<bool> const& stop;
};

/// Bytes of this code are not what was asked for: whose they are is left alone.
[[nodiscard]] bool is_lie(Error const& error);
/// Asks one source after the other, the server last, until one has brought all: who lies, or fails, only costs time.
/// @param what  for the log @param have  what has come so far: a source that moved it has not failed
/// @returns the last one's error
[[nodiscard]] Result<void> ask_sources(Fetcher const& with, std::string_view what, std::function<std::uint64_t()> const& have,
                                       std::function<Result<void>(std::string const& source)> const& ask);

}  // namespace fleet::agent
