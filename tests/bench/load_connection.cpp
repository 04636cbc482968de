#include "tests/bench/load_connection.hpp"

#include "core/net/ascii.hpp"
#include "core/net/resolve.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace fleet::bench {

Result<LoadConnection> LoadConnection::open(SSL_CTX* context, net::Url const& url, net::Patience const& patience, Identity const* identity,
                                            SSL_SESSION* session) {
  FLEET_TRY(auto fd, net::connect_to(url.host, url.port, patience));
  if (context == nullptr) return LoadConnection{std::move(fd), nullptr};
  net::SslPtr<SSL> ssl{SSL_new(context)};
  SSL_set_fd(ssl.get(), fd.get());
  if (identity != nullptr) {
    SSL_use_certificate(ssl.get(), identity->certificate.get());
    SSL_use_PrivateKey(ssl.get(), identity->key);
  }
  if (session != nullptr) SSL_set_session(ssl.get(), session);
  if (!net::numeric_address(url.host, url.port)) SSL_set_tlsext_host_name(ssl.get(), url.host.c_str());
  for (;;) {
    int const code = SSL_connect(ssl.get());
    if (code == 1) return LoadConnection{std::move(fd), std::move(ssl)};
    int const wants = SSL_get_error(ssl.get(), code);
    if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) return Error{Kind::unavailable, "handshake_failed", net::take_ssl_errors()};
    FLEET_CHECK(net::wait_for(fd.get(), wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, patience));
  }
}

LoadConnection::Step LoadConnection::send(std::string_view request) {
  sent_at = std::chrono::steady_clock::now();
  // A request fits the socket's buffer, which is empty: the one before was answered.
  while (!request.empty()) {
    auto const sent = ssl_ ? SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size())) : static_cast<int>(::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL));
    if (sent <= 0) return Step::failed;
    request.remove_prefix(static_cast<std::size_t>(sent));
  }
  return Step::waits;
}

LoadConnection::Step LoadConnection::parse_head() {
  auto const end = head_.find("\r\n\r\n");
  if (end == std::string::npos) return Step::waits;
  std::from_chars(head_.data() + 9, head_.data() + 12, status_);
  body_left_ = 0;
  retry_after_s_ = 0;
  for (std::string_view rest = std::string_view{head_}.substr(0, end + 2); !rest.empty();) {
    auto const line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(line.size() + 2);
    auto const digits = std::min(line.find_first_of("0123456789"), line.size());
    auto const is = [&](std::string_view name) { return net::equal_ignoring_case(line.substr(0, name.size()), name); };
    if (is("Content-Length:")) std::from_chars(line.data() + digits, line.data() + line.size(), body_left_);
    if (is("Retry-After:")) std::from_chars(line.data() + digits, line.data() + line.size(), retry_after_s_);
  }
  in_body_ = true;
  auto const early = head_.size() - end - 4;
  body_left_ -= std::min<std::uint64_t>(body_left_, early);
  body_bytes_ += early;
  head_.clear();
  return Step::waits;
}

LoadConnection::Step LoadConnection::receive() {
  static thread_local std::array<char, 64 * 1024> buffer;
  for (;;) {
    int const got = ssl_ ? SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size())) : static_cast<int>(::recv(fd_.get(), buffer.data(), buffer.size(), 0));
    if (got <= 0) return (ssl_ ? SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ : got < 0 && errno == EAGAIN) ? Step::waits : Step::failed;
    auto const bytes = static_cast<std::size_t>(got);
    if (in_body_) {
      body_left_ -= std::min<std::uint64_t>(body_left_, bytes);
      body_bytes_ += bytes;
    } else {
      head_.append(buffer.data(), bytes);
      if (parse_head() == Step::failed) return Step::failed;
    }
    if (!in_body_ || body_left_ > 0) continue;
    in_body_ = false;
    return Step::answered;
  }
}

}  // namespace fleet::bench
