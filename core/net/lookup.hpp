#pragma once

#include "core/net/resolve.hpp"

/// Asking for a name. One of two is built: `lookup_libc.cpp`, or `lookup_cares.cpp` for a program that is wholly static.
namespace fleet::net {

/// The addresses of a host that is a name, in the resolver's order. @errors unavailable (`name_unknown`, `cancelled`), timeout
Result<std::vector<SocketAddress>> look_up(std::string const& host, std::uint16_t port, Patience const& patience);

/// What a name that cannot be found is told as. @param why  the resolver's words
[[nodiscard]] Error name_unknown(std::string const& host, std::string_view why);
/// The timeout of a wait for the resolver, told as such; any other error as it is.
[[nodiscard]] Error name_late(std::string const& host, Error error);

}  // namespace fleet::net
