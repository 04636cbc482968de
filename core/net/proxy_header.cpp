#include "core/net/proxy_header.hpp"

#include <fmt/format.h>

#include <netinet/in.h>

#include <cstring>

namespace fleet::net {
namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr unsigned kVersion2 = 2;
enum Command : unsigned { kLocal = 0, kProxy = 1 };
enum Transport : unsigned { kTcpOverIpv4 = 0x11, kTcpOverIpv6 = 0x21 };
constexpr std::size_t kV4Bytes = 12, kV6Bytes = 36;

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

Error refused(std::string detail) {
  return {Kind::bad_input, "bad_proxy_header", std::move(detail), "let the balancer send PROXY protocol version 2, or take it off the list of balancers"};
}

/// Source address, destination address, source port, destination port, each in network order.
SocketAddress source_v4(std::string_view addresses) {
  SocketAddress out;
  sockaddr_in from{};
  from.sin_family = AF_INET;
  std::memcpy(&from.sin_addr, addresses.data(), 4);
  std::memcpy(&from.sin_port, addresses.data() + 8, 2);
  std::memcpy(&out.storage, &from, sizeof from);
  out.length = sizeof from;
  return out;
}

SocketAddress source_v6(std::string_view addresses) {
  SocketAddress out;
  sockaddr_in6 from{};
  from.sin6_family = AF_INET6;
  std::memcpy(&from.sin6_addr, addresses.data(), 16);
  std::memcpy(&from.sin6_port, addresses.data() + 32, 2);
  std::memcpy(&out.storage, &from, sizeof from);
  out.length = sizeof from;
  return out;
}

}  // namespace

Result<std::size_t> proxy_header_size(std::string_view fixed) {
  if (fixed.size() < ProxyHeader::kFixedBytes || fixed.substr(0, kSignature.size()) != kSignature || byte_at(fixed, 12) >> 4 != kVersion2)
    return refused("a balancer's connection does not begin with a PROXY header of version 2");
  auto const size = ProxyHeader::kFixedBytes + (byte_at(fixed, 14) << 8 | byte_at(fixed, 15));
  if (size > ProxyHeader::kBytesMax) return refused(fmt::format("a PROXY header of {} bytes, at most {} are taken", size, ProxyHeader::kBytesMax));
  return size;
}

Result<ProxyHeader> parse_proxy_header(std::string_view whole) {
  FLEET_TRY(auto const size, proxy_header_size(whole));
  if (whole.size() != size) return refused(fmt::format("a PROXY header of {} bytes, expected {}", whole.size(), size));
  auto const command = byte_at(whole, 12) & 0x0f;
  if (command == kLocal) return ProxyHeader{};
  if (command != kProxy) return refused(fmt::format("a PROXY header of command {}", command));
  auto const transport = byte_at(whole, 13);
  auto const addresses = whole.substr(ProxyHeader::kFixedBytes);
  if (transport == kTcpOverIpv4 && addresses.size() >= kV4Bytes) return ProxyHeader{source_v4(addresses)};
  if (transport == kTcpOverIpv6 && addresses.size() >= kV6Bytes) return ProxyHeader{source_v6(addresses)};
  if (transport == kTcpOverIpv4 || transport == kTcpOverIpv6) return refused("a PROXY header without room for its addresses");
  return ProxyHeader{};  // a local socket, or a transport that we do not speak: receivers take the real addresses (2.2)
}

}  // namespace fleet::net
