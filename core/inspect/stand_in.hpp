#pragma once

#include <cstddef>
#include <string_view>

namespace fleet::inspect {

/// No stand-in is longer.
inline constexpr std::size_t kStandInBytesMax = 1024;

/// What a tool leaves in place of a file that it keeps elsewhere.
struct StandIn {
  std::string_view what, hint;
};
/// @param content  a whole file. @returns null: a file in its own right
[[nodiscard]] StandIn const* find_stand_in(std::string_view content);

}  // namespace fleet::inspect
