#pragma once

#include "core/net/http.hpp"
#include "core/net/tls.hpp"

#include <list>
#include <map>
#include <mutex>
#include <optional>

namespace fleet::net {

/// TLS sessions of those whom the program knows, and of nobody else: a stranger who has gone leaves nothing behind. They are kept serialised and without the
/// peer's certificate (what it told travels inside, as the session's application data), the newest few of each. Any thread.
class Sessions {
public:
  explicit Sessions(std::size_t kept_max) : kept_max_(kept_max) {}

  /// Lets a context of a listener resume what is kept here. This must outlive the context's connections.
  void serve(SSL_CTX* context);
  /// Keeps the session of a connection whose peer is `who`.
  void keep(SSL* ssl, Digest const& who, Peer const& peer);
  void forget(Digest const& who);

  /// What a resumed connection's session tells of its peer.
  struct Resumed {
    Digest who{};
    Peer peer;  ///< without address
  };
  [[nodiscard]] static std::optional<Resumed> read(SSL* ssl);

private:
  struct Kept {
    std::string id;
    Digest who{};
    Bytes session;
  };
  using Order = std::list<Kept>;  ///< last used first
  [[nodiscard]] SslPtr<SSL_SESSION> find(std::string const& id);
  void drop(Order::iterator kept);
  static SSL_SESSION* on_wanted(SSL* ssl, unsigned char const* id, int length, int* copy);
  static void on_removed(SSL_CTX* context, SSL_SESSION* session);

  std::size_t kept_max_;
  std::mutex mutex_;
  Order order_;
  std::map<std::string, Order::iterator, std::less<>> by_id_;
  std::map<Digest, std::list<std::string>> by_who_;  ///< ids, newest first
};

}  // namespace fleet::net
