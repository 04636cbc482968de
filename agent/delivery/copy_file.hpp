#pragma once

#include "core/base/fs.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <functional>
#include <span>
#include <string>

namespace fleet::agent {

/// As File::read_at, from where the copy begins; 0: it has no more.
using ReadAt = std::function<Result<std::size_t>(std::uint64_t offset, std::span<std::uint8_t> out)>;

/// Copies the bytes of `file` to `path`, whatever is there, and hashes them on their way: what is spoiled, or ends early, is not taken, and `path` is empty then.
/// Made durable now and then; for good by who makes the slot.
/// @errors unavailable (`interrupted`, disk_full), io, what `read` says
[[nodiscard]] Result<bool> copy_verified(Fs& fs, ReadAt const& read, wire::ReleaseFile const& file, std::string const& path, std::atomic<bool> const& stop);

}  // namespace fleet::agent
