#pragma once

#include "core/net/resolve.hpp"

#include <array>
#include <compare>
#include <string_view>

namespace fleet::net {

/// Addresses that share their first bits: `10.0.0.0/8`, `2001:db8::/32`, or one address. An IPv4 address written as IPv6 is that IPv4 address.
class AddressRange {
public:
  /// @errors bad_input (not an address, bits beyond its length)
  [[nodiscard]] static Result<AddressRange> parse(std::string_view text);
  [[nodiscard]] bool contains(SocketAddress const& address) const;

private:
  std::array<std::uint8_t, 16> bytes_{};
  int bits_ = 0;  ///< of the 128
};

/// Who answers for a connection, as far as addresses tell: an IPv4 address, or the /64 that one IPv6 customer has at least.
struct AddressKey {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(AddressKey const&) const = default;
};
[[nodiscard]] AddressKey key_of(SocketAddress const& address);

}  // namespace fleet::net
