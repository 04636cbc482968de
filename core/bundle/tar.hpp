#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Plain tar: ustar headers (POSIX.1-2017, pax, "ustar Interchange Format") of regular files alone, so that any tar reads what is written here.
namespace fleet::bundle {

inline constexpr std::uint64_t kTarBlock = 512;
/// Two blocks of zeros end an archive.
inline constexpr std::uint64_t kTarEndBytes = 2 * kTarBlock;

struct TarEntry {
  std::string name;
  std::uint64_t size = 0;
};

/// A header block. A name over 100 bytes is cut at a slash; a size of 8 GiB and more is written in base 256, as GNU tar does.
/// @errors bad_input (`bad_name`: no safe relative path of printable ASCII, or none that a header can hold)
[[nodiscard]] Result<std::string> tar_header(std::string_view name, std::uint64_t size, unsigned permissions = 0644);
/// Nothing: a block of zeros, where the archive ends. @param block  kTarBlock bytes
/// @errors bad_input (`bad_tar`): checksum, numbers, a kind of entry that is no regular file, an unsafe name
[[nodiscard]] Result<std::optional<TarEntry>> read_tar_header(BytesView block);
/// Zeros from the end of a file of this size to the next block.
[[nodiscard]] constexpr std::uint64_t tar_padding(std::uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }
/// A whole entry of a small file.
[[nodiscard]] Result<std::string> tar_file(std::string_view name, std::string_view content, unsigned permissions = 0644);

}  // namespace fleet::bundle
