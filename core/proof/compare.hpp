#pragma once

#include "core/base/result.hpp"

#include <string_view>

namespace fleet::proof {

/// Compares two texts of cells separated by commas or white space: numbers within `tolerance`, other cells exactly.
/// @errors unprocessable (code `golden_mismatch`)
[[nodiscard]] Result<void> compare_outputs(std::string_view expected, std::string_view got, double tolerance);

}  // namespace fleet::proof
