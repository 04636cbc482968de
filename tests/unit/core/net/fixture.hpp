#pragma once

#include "core/crypto/x509.hpp"
#include "core/net/client.hpp"
#include "core/net/server.hpp"
#include "core/net/socket.hpp"
#include "core/net/tls.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace fleet::net::testing {

/// A CA, a server certificate for 127.0.0.1 and localhost, and device certificates, made once.
struct Pki {
  crypto::CertificateAndKey ca;
  crypto::CertificateAndKey server;
  crypto::CertificateAndKey device;  ///< CN device-1
  crypto::CertificateAndKey other_ca;
  crypto::CertificateAndKey future;  ///< a server's, valid from tomorrow on
  static Pki const& get();
};

/// What a test's handler does with each request; `/echo`, `/park` and `/known` (by its client certificate) are there always.
class ScriptedHandler final : public Handler {
public:
  using Script = std::function<void(Request&&, Responder)>;
  std::uint64_t limit = 64 * 1024;
  std::map<std::string, Script, std::less<>> scripts;

  std::uint64_t body_limit(Method, std::string_view) override { return limit; }
  void handle(Request&& request, Responder responder) override;
  /// Waits until so many requests are parked at once.
  void await_parked(std::size_t count);
  /// Takes the oldest parked responder.
  Responder take_parked();
  [[nodiscard]] bool parked_alive();

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Responder> parked_;
};

struct TestServer {
  explicit TestServer(ServerLimits limits = {}, unsigned threads = 1, crypto::CertificateAndKey const& identity = Pki::get().server);
  /// @param change  what the listener has otherwise
  TestServer(ServerLimits limits, std::function<void(ListenerConfig&)> const& change);
  ~TestServer() { server->stop(Millis{0}); }
  [[nodiscard]] std::string url(std::string_view target, std::string_view host = "127.0.0.1") const;
  std::shared_ptr<ScriptedHandler> handler = std::make_shared<ScriptedHandler>();
  std::unique_ptr<Server> server;

private:
  void begin(ServerLimits limits, unsigned threads, ListenerConfig listener);
};

[[nodiscard]] ClientConfig trusting_config();
[[nodiscard]] ClientConfig device_config();
[[nodiscard]] ClientRequest get(std::string url);
[[nodiscard]] ClientRequest post(std::string url, std::string body);
/// A client, or a failed test.
[[nodiscard]] Client make_client(ClientConfig config = trusting_config());

/// Raw bytes over TLS to a server, on a blocking socket: for what no client would send.
class RawPeer {
public:
  /// @param preamble  sent as it is before TLS begins, piece by piece
  explicit RawPeer(TestServer const& server, SSL_SESSION* session = nullptr, std::vector<std::string> const& preamble = {});
  void send(std::string_view bytes);
  [[nodiscard]] bool try_send(std::string_view bytes);
  /// Everything until the server ends the connection.
  std::string receive() { return receive_until({}); }
  /// Everything until `enough` holds or the server ends the connection.
  std::string receive_until(std::function<bool(std::string const&)> const& enough);
  /// So many whole answers with Content-Length.
  std::string receive_answers(std::size_t count);
  [[nodiscard]] SslPtr<SSL_SESSION> session() const;
  /// Says that nothing more will be sent, and goes on listening.
  void half_close();
  /// Ends the connection without a word.
  void hang_up();

private:
  SslPtr<SSL_CTX> context_;
  Fd fd_;
  SslPtr<SSL> ssl_;
};

/// Shakes hands with one client, reads its request's header and answers `bytes`, whatever they are; then ends the connection.
class LyingServer {
public:
  /// @param piece       so many bytes at once
  /// @param before_each  called before each piece, on the server's thread
  explicit LyingServer(std::string bytes, std::size_t piece = std::string::npos, std::function<void()> before_each = {});
  ~LyingServer();
  [[nodiscard]] std::string url() const;

private:
  SslPtr<SSL_CTX> context_;
  Fd listener_;
  std::string bytes_;
  std::size_t piece_;
  std::function<void()> before_each_;
  std::thread thread_;
};

/// A clock that one thread may set while another reads it.
class SharedClock final : public Clock {
public:
  [[nodiscard]] SysTime wall() const override { return system_clock().wall(); }
  [[nodiscard]] MonoTime mono() const override { return MonoTime{Millis{now_ms_.load()}}; }
  void advance(Millis by) { now_ms_ += by.count(); }

private:
  std::atomic<std::int64_t> now_ms_{1};
};

/// Waits until `holds`, at most five seconds.
[[nodiscard]] bool eventually(std::function<bool()> const& holds);

[[nodiscard]] int status_of(std::string_view answer);
[[nodiscard]] std::size_t count_of(std::string_view text, std::string_view part);

}  // namespace fleet::net::testing
