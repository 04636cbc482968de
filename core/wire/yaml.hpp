#pragma once

#include "core/base/result.hpp"

#include <string>
#include <string_view>

namespace fleet::wire {

/// YAML text (one document, at most `limit_bytes`, no tags, 32 levels, 100,000 values with aliases counted as copies) as JSON text. Plain scalars become
/// numbers, booleans or null as YAML 1.2's core schema says; everything else strings.
/// @errors bad_input with line and column
[[nodiscard]] Result<std::string> yaml_to_json(std::string_view yaml, std::size_t limit_bytes = 1024 * 1024);

}  // namespace fleet::wire
