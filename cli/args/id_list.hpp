#pragma once

#include "core/base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::cli {

inline constexpr std::size_t kIdListBytesMax = 32 * 1024 * 1024;

/// Device ids as files have them: CSV whose header has a column `id` or `device`, or JSON lines, each an id or an object with one of those members
/// (`fleetctl device list -o jsonl`). In the order of the file, repeats and all.
/// @param name  of the file, for errors
/// @errors bad_input (code `bad_list`) with the line, counted from 1
[[nodiscard]] Result<std::vector<std::string>> read_ids(std::string_view text, std::string_view name);

}  // namespace fleet::cli
