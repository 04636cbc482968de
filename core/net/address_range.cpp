#include "core/net/address_range.hpp"

#include <fmt/format.h>

#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace fleet::net {
namespace {

constexpr int kV4Prefix = 96;
constexpr std::size_t kCustomerBytes = 8;  // a /64

/// As IPv6: IPv4 addresses lie in ::ffff:0:0/96.
std::array<std::uint8_t, 16> bytes_of(SocketAddress const& address) {
  std::array<std::uint8_t, 16> out{};
  if (address.storage.ss_family == AF_INET6) {
    std::memcpy(out.data(), &reinterpret_cast<sockaddr_in6 const&>(address.storage).sin6_addr, out.size());
    return out;
  }
  out[10] = out[11] = 0xff;
  std::memcpy(out.data() + 12, &reinterpret_cast<sockaddr_in const&>(address.storage).sin_addr, 4);
  return out;
}

bool is_v4(std::array<std::uint8_t, 16> const& bytes) {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](auto byte) { return byte == 0; }) && bytes[10] == 0xff && bytes[11] == 0xff;
}

bool same_bits(std::array<std::uint8_t, 16> const& a, std::array<std::uint8_t, 16> const& b, int bits) {
  auto const whole = static_cast<std::size_t>(bits / 8);
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
  int const rest = bits % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

}  // namespace

Result<AddressRange> AddressRange::parse(std::string_view text) {
  auto const slash = text.find('/');
  FLEET_TRY(auto const address, numeric_address(std::string(text.substr(0, slash)), 0));
  AddressRange out;
  out.bytes_ = bytes_of(address);
  int const offset = address.storage.ss_family == AF_INET6 ? 0 : kV4Prefix;
  out.bits_ = 128;
  if (slash == std::string_view::npos) return out;
  auto const digits = text.substr(slash + 1);
  int bits = -1;
  auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc{} || end != digits.data() + digits.size() || bits < 0 || bits > 128 - offset)
    return Error{Kind::bad_input, "bad_address", fmt::format("'{}': expected a number of bits from 0 to {} after the slash", text, 128 - offset)};
  out.bits_ = bits + offset;
  return out;
}

bool AddressRange::contains(SocketAddress const& address) const { return same_bits(bytes_, bytes_of(address), bits_); }

AddressKey key_of(SocketAddress const& address) {
  AddressKey out{bytes_of(address)};
  if (!is_v4(out.bytes)) std::fill(out.bytes.begin() + kCustomerBytes, out.bytes.end(), std::uint8_t{0});
  return out;
}

}  // namespace fleet::net
