#pragma once

#include "core/net/socket.hpp"
#include "core/net/tls.hpp"
#include "tests/bench/identities.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace fleet::bench {

/// One keep-alive connection of the load: sends the same request again and again, one at a time.
class LoadConnection {
public:
  enum class Step { waits, answered, failed };

  /// Connects and shakes hands, waiting for both. Without a context it is plain.
  /// @param identity  in place of the context's; may be null  @param session  offered to the server; null: a full handshake
  static Result<LoadConnection> open(SSL_CTX* context, net::Url const& url, net::Patience const& patience, Identity const* identity, SSL_SESSION* session = nullptr);
  LoadConnection(LoadConnection&&) noexcept = default;
  LoadConnection& operator=(LoadConnection&&) noexcept = default;

  Step send(std::string_view request);
  /// Reads what is there; `answered` once the whole answer came.
  Step receive();
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] int retry_after_s() const { return retry_after_s_; }
  /// What the server gave to resume with: complete once the first answer was read.
  [[nodiscard]] net::SslPtr<SSL_SESSION> session() const { return net::SslPtr<SSL_SESSION>{SSL_get1_session(ssl_.get())}; }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  [[nodiscard]] std::uint64_t body_bytes() const { return body_bytes_; }

  std::chrono::steady_clock::time_point sent_at;

private:
  LoadConnection(net::Fd fd, net::SslPtr<SSL> ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)) {}
  Step parse_head();

  net::Fd fd_;
  net::SslPtr<SSL> ssl_;
  std::string head_;  ///< until its empty line came
  std::uint64_t body_left_ = 0;
  std::uint64_t body_bytes_ = 0;
  bool in_body_ = false;
  int status_ = 0, retry_after_s_ = 0;
};

}  // namespace fleet::bench
