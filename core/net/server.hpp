#pragma once

#include "core/net/address_range.hpp"
#include "core/net/door.hpp"
#include "core/net/http.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace fleet::net {

/// The one answer to one request. Move-only; may be kept, moved to another thread and called there: the answer travels to the
/// connection's io thread. Dropped without an answer it sends 503.
class Responder {
public:
  /// Where an answer goes: a connection, or a test that wants to see it.
  struct Sink {
    virtual ~Sink() = default;
    virtual void answer(Response response) = 0;  ///< called once, from any thread
    [[nodiscard]] virtual bool alive() const = 0;
  };
  Responder() = default;
  explicit Responder(std::shared_ptr<Sink> sink);
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&&) noexcept;
  ~Responder();
  void operator()(Response response);
  /// False once the peer has gone: the answer would reach nobody.
  [[nodiscard]] bool alive() const;

private:
  std::shared_ptr<Sink> sink_;
};

/// The program's side of a listener. Called on an io thread: must not block. While the answer is pending the connection's
/// buffers are freed and it reads nothing but the peer's end.
class Handler {
public:
  virtual ~Handler() = default;
  /// The limit for the body of this request, asked after its headers; 0 refuses any body. Over it: 413 and close.
  virtual std::uint64_t body_limit(Method method, std::string_view path) = 0;
  virtual void handle(Request&& request, Responder responder) = 0;
};

struct ListenerConfig {
  std::string name;  ///< for logs and metrics
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;       ///< 0 picks a free one
  bool plain = false;           ///< HTTP without TLS: nobody is known there. For what proves itself alone (fleetctl bundle serve)
  std::string certificate_pem;  ///< the server's, then its chain
  std::string private_key_pem;
  bool request_client_certificate = false;  ///< asked for, not demanded; any self-consistent certificate is let through to the handler
  bool keep_client_certificate = false;     ///< whole, in Peer::certificate
  std::string client_ca_names_pem;          ///< hint sent in the request, may be empty
  std::vector<AddressRange> balancers;      ///< from there each connection begins with a PROXY header, which tells the real address
  DoorLimits door;                          ///< for all io threads together
  std::shared_ptr<Handler> handler;
};

struct ServerLimits {
  std::size_t header_bytes = 16 * 1024;
  Millis handshake{10'000};
  Millis header{10'000};  ///< from the first byte of a request to the end of its header
  Millis body{60'000};    ///< a body, whole; longer ones must arrive at 16 KiB/s at least
  Millis write{60'000};   ///< without any progress
  Millis idle{120'000};   ///< between requests; a pending answer is not idle
  std::uint64_t stranger_bodies = 64ULL << 20;  ///< bytes that bodies under way may take together, of strangers and of the known, on each io thread
  std::uint64_t known_bodies = 256ULL << 20;
  Millis stranger{5'000};  ///< a stranger's silence after the handshake and between requests
  std::uint64_t egress = 0;  ///< bytes of files a second, of all connections together; 0: no bound
};

struct ServerCounters {
  std::uint64_t accepted = 0, open = 0, connections_refused = 0;  ///< refused: too many strangers, or shown out for another one
  std::uint64_t requests = 0, requests_refused = 0;               ///< refused: answered with 4xx before any handler saw them
  std::uint64_t handshakes = 0, resumed = 0, handshake_failures = 0, timed_out = 0;
  std::uint64_t file_bytes = 0;      ///< of files that were sent, or begun
  std::uint64_t egress_waiting = 0;  ///< connections that wait for their turn within the bound
};

/// Listeners over one io_context a thread, nothing shared between them (SO_REUSEPORT). TLS 1.2 and 1.3, HTTP/1.1 only; plain where a listener says so.
class Server {
public:
  /// Binds at once. @errors unavailable (address in use), bad_input (certificate and key)
  static Result<std::unique_ptr<Server>> create(std::vector<ListenerConfig> listeners, ServerLimits limits, unsigned threads, Clock& clock);
  virtual ~Server() = default;
  /// Port a listener is bound to, by its index.
  [[nodiscard]] virtual std::uint16_t port(std::size_t listener) const = 0;
  /// New connections of every listener see this certificate from now on; those there are go on, and none resumes an older session.
  /// From any thread. @errors bad_input: nothing is replaced
  virtual Result<void> replace_certificate(std::string const& certificate_pem, std::string const& private_key_pem) = 0;
  /// Starts the threads and returns.
  virtual void start() = 0;
  /// Stops accepting, lets what is pending be answered (who parks requests answers them first), closes; returns when done or at the deadline.
  virtual void stop(Millis deadline) = 0;
  [[nodiscard]] virtual ServerCounters counters() const = 0;
  /// Whether files wait for their turn within ServerLimits::egress.
  [[nodiscard]] virtual bool egress_is_spent() const = 0;
  /// Runs `job` on io thread `index` after `delay`; without one as soon as it can. Timers are coarse (100 ms).
  virtual void after(std::size_t io_thread, Millis delay, std::function<void()> job) = 0;
  [[nodiscard]] virtual std::size_t threads() const = 0;
  /// Index of the io thread this code runs on; threads() when it is none.
  [[nodiscard]] virtual std::size_t current_thread() const = 0;
};

}  // namespace fleet::net
