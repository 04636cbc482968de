#pragma once

#include "core/base/result.hpp"

#include <string_view>

namespace fleet {

/// Names as the protocol fixes them: model `[a-z0-9][a-z0-9._-]{0,63}`. @errors bad_input
[[nodiscard]] Result<void> check_model_name(std::string_view name);
/// Version `[A-Za-z0-9][A-Za-z0-9._+-]{0,63}`; `latest`, `current`, `previous` are reserved. @errors bad_input
[[nodiscard]] Result<void> check_version_name(std::string_view name);
/// Device ids, hardware names, label keys: `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`. @errors bad_input
[[nodiscard]] Result<void> check_id(std::string_view what, std::string_view name);
/// Names of files in a release: a relative path of plain parts, UTF-8 without control characters or backslashes, at most 255 bytes a part and 1,024 in all.
/// @errors bad_input (`bad_file_name`) that says what is wrong with the name, and shows it
[[nodiscard]] Result<void> check_file_name(std::string_view path);

}  // namespace fleet
