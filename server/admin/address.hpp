#pragma once

#include "core/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace fleet::admin {

/// `127.0.0.1:8443`, `[::1]:8443`, `:8443` (every address).
struct Address {
  std::string host;
  std::uint16_t port = 0;
  /// @errors bad_input
  [[nodiscard]] static Result<Address> parse(std::string_view text);
};

}  // namespace fleet::admin
