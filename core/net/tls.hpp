#pragma once

#include "core/net/client.hpp"
#include "core/net/server.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <mutex>

/// OpenSSL, as far as both ends share it.
namespace fleet::net {

struct SslFree {
  /// Freed without these flags, a connection takes its session with it, and the next one cannot resume.
  void operator()(SSL* ssl) const {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
  }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
template <class T>
using SslPtr = std::unique_ptr<T, SslFree>;

/// The context of a listener, which a renewed certificate replaces while connections are made. Any thread.
class CurrentTls {
public:
  explicit CurrentTls(SslPtr<SSL_CTX> context) : context_(std::move(context)) {}
  /// For one connection; what was handed out before stays as it was. Null: of a listener without TLS.
  [[nodiscard]] SslPtr<SSL_CTX> get() const {
    std::lock_guard const lock(mutex_);
    if (context_) SSL_CTX_up_ref(context_.get());
    return SslPtr<SSL_CTX>(context_.get());
  }
  void replace(SslPtr<SSL_CTX> context) {
    std::lock_guard const lock(mutex_);
    context_ = std::move(context);
  }

private:
  mutable std::mutex mutex_;
  SslPtr<SSL_CTX> context_;
};

/// TLS 1.2 and 1.3, the config's own trust anchors only, its certificate if it has one.
/// @param clock  by which certificates are judged; null where nobody will connect. @errors bad_input
Result<SslPtr<SSL_CTX>> make_client_context(ClientConfig const& config, Clock const* clock);
/// TLS 1.2 and 1.3, stateful sessions. Asks for a client certificate where the listener says so, and lets any through. @errors bad_input
Result<SslPtr<SSL_CTX>> make_server_context(ListenerConfig const& config);

/// Fills what the peer's certificate tells, in a full handshake and in a resumed one alike.
/// @param keep  also the certificate itself
void read_peer_certificate(SSL* ssl, Peer& peer, bool keep);

/// OpenSSL's queued errors of this thread as text; the queue is empty afterwards.
[[nodiscard]] std::string take_ssl_errors();

}  // namespace fleet::net
