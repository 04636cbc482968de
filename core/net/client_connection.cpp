#include "core/net/client_connection.hpp"

#include "core/crypto/private_key.hpp"
#include "core/net/resolve.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace fleet::net {
namespace {

Error broken(std::string_view step, std::string_view why) { return {Kind::unavailable, "connection_lost", fmt::format("{}: {}", step, why)}; }

/// OpenSSL takes lengths as int.
int int_size(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, 1U << 30)); }

}  // namespace

ClientConnection::ClientConnection(Fd fd, SslPtr<SSL> ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)), in_device_(ssl_ && crypto::is_in_device(SSL_get_privatekey(ssl_.get()))) {}

ClientConnection::~ClientConnection() {
  crypto::KeyDeviceTurn const turn(in_device_);
  ssl_.reset();
}

ClientConnection& ClientConnection::operator=(ClientConnection&& other) noexcept {
  crypto::KeyDeviceTurn const turn(in_device_ || other.in_device_);
  ssl_ = std::move(other.ssl_);
  fd_ = std::move(other.fd_);
  in_device_ = other.in_device_;
  return *this;
}

template <class F>
int ClientConnection::in_turn(F&& call) {
  crypto::KeyDeviceTurn const turn(in_device_);
  ERR_clear_error();
  return call(ssl_.get());
}

Result<ClientConnection> ClientConnection::open(Url const& url, Proxy const* proxy, SSL_CTX* context, SSL_SESSION* session, Patience const& connect,
                                                Millis handshake) {
  FLEET_TRY(auto fd, proxy == nullptr ? connect_to(url.host, url.port, connect) : proxy->connect(url.host, url.port, connect));
  SslPtr<SSL> ssl;
  if (context != nullptr) {
    ssl.reset(SSL_new(context));
    if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) return Error{Kind::internal, "tls_setup", take_ssl_errors()};
    if (session != nullptr) SSL_set_session(ssl.get(), session);
  }
  ClientConnection connection{std::move(fd), std::move(ssl)};
  if (connection.ssl_) FLEET_CHECK(connection.handshake(url, {connect.clock, connect.clock.mono() + handshake, connect.cancel}));
  return connection;
}

Result<void> ClientConnection::handshake(Url const& url, Patience const& patience) {
  if (numeric_address(url.host, url.port)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), url.host.c_str());
  } else {
    SSL_set1_host(ssl_.get(), url.host.c_str());
    SSL_set_tlsext_host_name(ssl_.get(), url.host.c_str());
  }
  for (;;) {
    int const code = in_turn([](SSL* ssl) { return SSL_connect(ssl); });
    if (code == 1) return {};
    auto const next = await_ssl(code, fmt::format("TLS handshake with {}:{}", url.host, url.port), patience);
    if (next) continue;
    auto const verdict = SSL_get_verify_result(ssl_.get());
    if (verdict == X509_V_OK || next.error().kind == Kind::timeout || next.error().code == "cancelled") return next;
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID)
      return Error{Kind::signature, "clock_wrong",
                   fmt::format("the certificate of {}:{} {} by this machine's clock, which says {}", url.host, url.port,
                               verdict == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet", to_rfc3339(patience.clock.wall())),
                   "set the clock if it is wrong; else the server's certificate must be renewed"};
    return Error{Kind::signature, "peer_not_trusted",
                 fmt::format("the certificate of {}:{} was refused: {}", url.host, url.port, X509_verify_cert_error_string(verdict)),
                 "is this the server meant, and the CA file its own?"};
  }
}

Result<void> ClientConnection::await_ssl(int code, std::string_view step, Patience const& patience) {
  int const system_error = errno;
  switch (SSL_get_error(ssl_.get(), code)) {
    case SSL_ERROR_WANT_READ: return wait_for(fd_.get(), POLLIN, patience);
    case SSL_ERROR_WANT_WRITE: return wait_for(fd_.get(), POLLOUT, patience);
    case SSL_ERROR_SYSCALL: return broken(step, system_error != 0 ? system_words(system_error) : "the peer closed the connection");
    default: return broken(step, take_ssl_errors());
  }
}

Result<std::size_t> ClientConnection::read(std::span<char> out, Patience const& patience) {
  for (;;) {
    if (!ssl_) {
      auto const got = ::recv(fd_.get(), out.data(), out.size(), 0);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EAGAIN && errno != EINTR) return broken("reading", system_words(errno));
      FLEET_CHECK(wait_for(fd_.get(), POLLIN, patience));
      continue;
    }
    int const got = in_turn([&](SSL* ssl) { return SSL_read(ssl, out.data(), int_size(out.size())); });
    if (got > 0) return static_cast<std::size_t>(got);
    if (SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
    FLEET_CHECK(await_ssl(got, "reading", patience));
  }
}

Result<void> ClientConnection::write(std::string_view bytes, Patience const& patience) {
  while (!bytes.empty()) {
    if (!ssl_) {
      auto const sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else {
        if (errno != EAGAIN && errno != EINTR) return broken("writing", system_words(errno));
        FLEET_CHECK(wait_for(fd_.get(), POLLOUT, patience));
      }
      continue;
    }
    int const sent = in_turn([&](SSL* ssl) { return SSL_write(ssl, bytes.data(), int_size(bytes.size())); });
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    else FLEET_CHECK(await_ssl(sent, "writing", patience));
  }
  return {};
}

bool ClientConnection::fresh() {
  char byte = 0;
  if (!ssl_) return ::recv(fd_.get(), &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
  int const got = in_turn([&](SSL* ssl) { return SSL_peek(ssl, &byte, 1); });
  return got <= 0 && SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ;
}

SslPtr<SSL_SESSION> ClientConnection::session() const {
  if (!ssl_) return {};
  SslPtr<SSL_SESSION> session{SSL_get1_session(ssl_.get())};
  if (session && SSL_SESSION_is_resumable(session.get()) != 1) session.reset();
  return session;
}

}  // namespace fleet::net
