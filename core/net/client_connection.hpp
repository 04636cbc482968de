#pragma once

#include "core/net/socket.hpp"
#include "core/net/tls.hpp"

#include <span>
#include <string_view>

namespace fleet::net {

/// A connection of the client: a socket, with or without TLS over it. Every step waits as long as its patience lasts.
class ClientConnection {
public:
  /// Connects, through `proxy` where it is not null; with `context` also shakes hands, for which there is time of its own, offering `session` for resumption when there is one.
  /// @errors unavailable, timeout, signature (`peer_not_trusted`; `clock_wrong`: the certificate is of another time than this machine's)
  static Result<ClientConnection> open(Url const& url, Proxy const* proxy, SSL_CTX* context, SSL_SESSION* session, Patience const& connect,
                                       Millis handshake);
  ~ClientConnection();
  ClientConnection(ClientConnection&&) noexcept = default;
  ClientConnection& operator=(ClientConnection&&) noexcept;

  /// Bytes read; 0 is the peer's orderly end. @errors unavailable, timeout
  Result<std::size_t> read(std::span<char> out, Patience const& patience);
  /// Writes all of `bytes`. @errors unavailable, timeout
  Result<void> write(std::string_view bytes, Patience const& patience);
  /// False once the peer closed it or sent something nobody asked for: it must not be used again.
  [[nodiscard]] bool fresh();
  /// The newest session that can be resumed, if any.
  [[nodiscard]] SslPtr<SSL_SESSION> session() const;

private:
  ClientConnection(Fd fd, SslPtr<SSL> ssl);
  /// One call of OpenSSL's, while nobody else uses the device that has the key.
  template <class F>
  int in_turn(F&& call);
  Result<void> handshake(Url const& url, Patience const& patience);
  /// Waits for what OpenSSL wants after it returned `code`, or says why it cannot go on.
  Result<void> await_ssl(int code, std::string_view step, Patience const& patience);
  Fd fd_;
  SslPtr<SSL> ssl_;
  bool in_device_ = false;  ///< the key that proves who connects
};

}  // namespace fleet::net
