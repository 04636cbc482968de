#pragma once

#include "core/base/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fleet::proof {

/// Of a text that is compared: what a golden test or a shadow writes, and what is expected.
inline constexpr std::uint64_t kOutputBytesMax = 16 * 1024 * 1024;

/// How far numbers may be apart.
struct Tolerances {
  double any = 0;                          ///< largest absolute difference of a number
  std::map<std::string, double> of = {};  ///< of one column in its place, by its name in the first line (CSV header), or by its number, from 1
};

/// Compares two texts of cells separated by commas, semicolons or white space: numbers within their column's tolerance, other cells exactly.
/// @errors unprocessable (code `golden_mismatch`) with line, cell, expected and got; (code `unknown_column`): a tolerance is of a column that `expected` does not have
[[nodiscard]] Result<void> compare_outputs(std::string_view expected, std::string_view got, Tolerances const& tolerances);

/// How far two outputs agree: a line is an inference, empty ones are none. Where a tolerance is of a column by its name, the first line of each names the
/// columns and is none either.
struct Agreement {
  std::int64_t inferences = 0;  ///< compared; what only one of them has differs
  std::int64_t differing = 0;
  std::string first;  ///< where the first differs: inference, cell, what ran, what is to run
  [[nodiscard]] double share() const { return inferences == 0 ? 0 : static_cast<double>(differing) / static_cast<double>(inferences); }
};

/// @param ran  of the version that runs
/// @param n    inferences, at most
/// @errors unprocessable (code `unknown_column`): a tolerance is of a column that `came` does not have
[[nodiscard]] Result<Agreement> compare_inferences(std::string_view ran, std::string_view came, Tolerances const& tolerances, std::int64_t n);

/// Whether every tolerance has its column in a text. @errors unprocessable (code `unknown_column`) with those there are
[[nodiscard]] Result<void> check_columns(std::string_view text, Tolerances const& tolerances);

}  // namespace fleet::proof
