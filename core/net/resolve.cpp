#include "core/net/resolve.hpp"

#include "core/net/lookup.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

namespace fleet::net {

std::string to_string(SocketAddress const& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET6) {
    auto const& v6 = reinterpret_cast<sockaddr_in6 const&>(address.storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  auto const& v4 = reinterpret_cast<sockaddr_in const&>(address.storage);
  ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(v4.sin_port));
}

bool is_loopback(SocketAddress const& address) {
  if (address.storage.ss_family == AF_INET6) {
    auto const& ip = reinterpret_cast<sockaddr_in6 const&>(address.storage).sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&ip)) return IN6_IS_ADDR_LOOPBACK(&ip) != 0;
    return ip.s6_addr[12] == 127;
  }
  return (ntohl(reinterpret_cast<sockaddr_in const&>(address.storage).sin_addr.s_addr) >> 24) == 127;
}

Result<SocketAddress> numeric_address(std::string const& host, std::uint16_t port) {
  SocketAddress out;
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    out.length = sizeof v4;
    return out;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
  auto const percent = host.find('%');  // fe80::1%eth0: the addresses of one link are known on that link alone
  bool const linked = percent != std::string::npos;
  v6.sin6_scope_id = linked ? ::if_nametoindex(host.c_str() + percent + 1) : 0;
  if (::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &v6.sin6_addr) != 1 || (linked && v6.sin6_scope_id == 0))
    return Error{Kind::bad_input, "bad_address", fmt::format("'{}' is no IP address{}", host, linked ? " of this machine's interfaces" : "")};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  out.length = sizeof v6;
  return out;
}

Error name_unknown(std::string const& host, std::string_view why) {
  return {Kind::unavailable, "name_unknown", fmt::format("host '{}': {}", host, why), "check the name and this machine's resolver"};
}

Error name_late(std::string const& host, Error error) {
  if (error.kind == Kind::timeout) error.detail = fmt::format("asking for the address of '{}': no answer before the deadline", host);
  return error;
}

Result<std::vector<SocketAddress>> resolve(std::string const& host, std::uint16_t port, Patience const& patience) {
  if (auto const numeric = numeric_address(host, port)) return std::vector{*numeric};
  return look_up(host, port, patience);
}

}  // namespace fleet::net
