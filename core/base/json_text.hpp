#pragma once

#include <cstddef>
#include <string_view>

namespace fleet {

/// Members of all objects of a valid JSON text: one colon each, outside strings. A parser that keeps the last of equal keys without a
/// word is checked against it: fewer members in its value mean a key that stood twice.
[[nodiscard]] constexpr std::size_t count_json_members(std::string_view text) {
  std::size_t count = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') ++i;
    else if (text[i] == '"') quoted = !quoted;
    else if (!quoted && text[i] == ':') ++count;
  }
  return count;
}

}  // namespace fleet
