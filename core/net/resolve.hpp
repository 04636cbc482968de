#pragma once

#include "core/net/socket.hpp"

#include <sys/socket.h>

#include <vector>

namespace fleet::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] sockaddr const* get() const { return reinterpret_cast<sockaddr const*>(&storage); }
};

/// `ip:port`, or `[ip]:port` for IPv6.
[[nodiscard]] std::string to_string(SocketAddress const& address);
[[nodiscard]] bool is_loopback(SocketAddress const& address);

/// An IP address in text, without asking anybody. @errors bad_input
Result<SocketAddress> numeric_address(std::string const& host, std::uint16_t port);

/// The addresses of a host, an IP address in text or a name (lookup.hpp), in the resolver's order. @errors unavailable (`name_unknown`, `cancelled`), timeout
Result<std::vector<SocketAddress>> resolve(std::string const& host, std::uint16_t port, Patience const& patience);

}  // namespace fleet::net
