#pragma once

#include "core/net/socket.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::net {

struct Url;

/// An HTTP proxy that lets TLS through (CONNECT: RFC 9110, 9.3.6).
struct Proxy {
  std::string host;
  std::uint16_t port = 0;
  std::string authorization;  ///< value of Proxy-Authorization; empty: none
  std::string set_by;         ///< who named it, for messages: `https_proxy`, `agent.yaml`

  /// `proxy 10.0.0.1:3128 (https_proxy)`: for messages, without its password.
  [[nodiscard]] std::string name() const;
  /// A connection through the proxy to `host:port`: what TLS is then spoken over.
  /// @errors unavailable (`proxy_failed`: it cannot be reached; `proxy_refused`: with its words), timeout
  [[nodiscard]] Result<Fd> connect(std::string const& target_host, std::uint16_t target_port, Patience const& patience) const;
};

/// Which proxy an address is reached by. What is kept from it, in `no_proxy`, is as curl has it: `*`, names (with all below them), addresses,
/// networks (`10.0.0.0/8`), each with or without `:port`.
class ProxyRules {
public:
  /// None.
  ProxyRules() = default;
  /// @param https  `http://[USER:PASSWORD@]HOST[:PORT]`, or without the scheme; empty: none
  /// @param set_by  see Proxy
  /// @errors bad_input (code `bad_proxy`)
  [[nodiscard]] static Result<ProxyRules> create(std::string_view https, std::vector<std::string> no_proxy, std::string set_by);
  /// `https_proxy` and `no_proxy`, in lower or upper case; this machine itself (`localhost`, 127.0.0.0/8, ::1) is then reached directly.
  [[nodiscard]] static Result<ProxyRules> from_environment(std::function<std::optional<std::string>(std::string const&)> const& environment);
  /// Null: directly.
  [[nodiscard]] Proxy const* find(Url const& url) const;

private:
  std::optional<Proxy> https_;
  std::vector<std::string> spared_;
  bool spares_this_machine_ = false;
};

}  // namespace fleet::net
