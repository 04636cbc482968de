#pragma once

#include "core/base/result.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace fleet::wire {

/// A YAML document as JSON, with the lines of its values.
struct YamlDocument {
  std::string json;
  std::map<std::string, int, std::less<>> lines;  ///< by JSON pointer, from 1

  /// Where a value stands; where it is not there, the value that would hold it.
  [[nodiscard]] int line_of(std::string_view pointer) const;
  /// The error of a decoder that read `json`, with the file and the line of each place that it names, in the order of lines.
  /// @param prefix  what the pointers begin with where the document became a part of another
  [[nodiscard]] Error located(Error error, std::string_view file, std::string_view prefix = "") const;
};

/// Reads YAML: one document of UTF-8 and at most `limit_bytes`, 32 levels, 100,000 values with aliases counted as copies, no tags. Plain scalars
/// become numbers, booleans or null as YAML 1.2's core schema says; everything else strings. A key without a value is null, as if it was not
/// written; an item without one is refused, and so are numbers that are not finite, quotes that are not closed, control characters.
/// @param texts  JSON pointers where text is wanted (`*` is any one part): plain scalars stay there as they were written, `1.10` and `12.20`
/// @errors bad_input (code `bad_yaml`) with line and column, too_large
[[nodiscard]] Result<YamlDocument> read_yaml(std::string_view yaml, std::size_t limit_bytes = 1024 * 1024, std::span<std::string_view const> texts = {});
/// The error of a text that was read from `file`.
[[nodiscard]] Error in_file(Error error, std::string_view file);

}  // namespace fleet::wire
