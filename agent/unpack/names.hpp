#pragma once

#include "core/base/archive_format.hpp"
#include "core/base/result.hpp"

#include <cstdint>
#include <string_view>

namespace fleet::agent {

/// How much may come out of one archive.
struct ArchiveLimits {
  std::uint64_t entries = 10'000;  ///< files, folders and links: as many as a release has files
  std::uint64_t bytes = 0;         ///< of all files, unpacked
};
inline constexpr std::size_t kEntryDepthMax = 32;

/// Why the archive is refused: the release's own fault, whatever device reads it.
[[nodiscard]] Error bad_archive(std::string detail);
/// A name as a release's files have it (core/base/names.hpp), at most kEntryDepthMax folders deep. @errors unprocessable (code `bad_archive`)
[[nodiscard]] Result<void> check_entry_name(std::string_view name);

}  // namespace fleet::agent
