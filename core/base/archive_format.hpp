#pragma once

#include <optional>
#include <string_view>

namespace fleet {

/// Archives that a release may be packed in (docs/devices.md, Handlers).
enum class ArchiveFormat { tar, tar_gz, tar_zst, zip };

/// The format by which a file of this name is unpacked, as its end says (`.tar`, `.tar.gz`, `.tgz`, `.tar.zst`, `.tzst`, `.zip`); nothing: it is none, and stays as it is.
[[nodiscard]] std::optional<ArchiveFormat> archive_format(std::string_view file_name);
/// As `fleet-unpack` is told it. @returns nothing for any other word
[[nodiscard]] std::string_view to_string(ArchiveFormat format);
[[nodiscard]] std::optional<ArchiveFormat> archive_format_of(std::string_view word);

}  // namespace fleet
