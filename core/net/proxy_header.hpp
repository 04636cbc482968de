#pragma once

#include "core/net/resolve.hpp"

#include <optional>
#include <string_view>

namespace fleet::net {

/// A balancer's word on whom it speaks for, before the first byte of TLS.
/// @source PROXY protocol, version 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt), section 2.2
struct ProxyHeader {
  static constexpr std::size_t kFixedBytes = 16;
  static constexpr std::size_t kBytesMax = 2'048;  ///< addresses take 36; the rest are a balancer's own additions
  std::optional<SocketAddress> client;             ///< nothing: the balancer speaks for itself (LOCAL), or for no IP address
};

/// How many bytes the whole header has, from its first kFixedBytes. @errors bad_input: not this protocol, or longer than kBytesMax
[[nodiscard]] Result<std::size_t> proxy_header_size(std::string_view fixed);
/// @param whole  exactly as many bytes as `proxy_header_size` says. @errors bad_input
[[nodiscard]] Result<ProxyHeader> parse_proxy_header(std::string_view whole);

}  // namespace fleet::net
