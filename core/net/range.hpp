#pragma once

#include "core/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace fleet::net {

struct Range {
  std::uint64_t first = 0, last = 0;
};

/// One `bytes=a-b`, `bytes=a-` or `bytes=-n` of `size` bytes (RFC 9110, 14.2). Nothing for what is no single range: that is answered whole.
/// @errors bad_input (code `range`) where it cannot be satisfied
[[nodiscard]] Result<std::optional<Range>> read_range(std::string_view header, std::uint64_t size);

}  // namespace fleet::net
