#pragma once

#include "core/net/http.hpp"
#include "core/net/proxy.hpp"

#include <functional>
#include <memory>
#include <string>

namespace fleet::net {

/// `https://host:port` (or http, where allowed), split. `host` is in lower case, an IPv6 address without its brackets; `target` starts with `/`.
struct Url {
  std::string scheme, host, target;
  std::uint16_t port = 0;
  /// @errors bad_input
  [[nodiscard]] static Result<Url> parse(std::string_view text);
};

struct ClientConfig {
  std::string ca_pem;           ///< one or more certificates; nothing else is trusted
  std::string certificate_pem;  ///< the client's own, may be empty
  std::string private_key_pem;      ///< or the URI of a key in a device (crypto::PrivateKey)
  bool trust_any_server = false;    ///< for metadata alone, which proves itself by signatures: the channel then proves nothing
  bool allow_plain_http = false;   ///< tuf-client alone, and checks of loopback health
  bool ignore_not_before = false;  ///< while the system clock is below the floor of trusted time (protocol.md, Time)
  ProxyRules proxy;                ///< https only
  std::string user_agent = "fleet";  ///< empty: the header is left out
  Millis connect{15'000};
  Millis handshake{45'000};  ///< after it: certificates take seconds at 9600 baud
};

/// A peer must be as fast as a bad modem (9600 baud are 960 bytes/s). A body that goes to a sink must come at 256 bytes/s: so many in each minute
/// that is spent waiting for them, and something within the request's timeout. What the sink takes for itself (a cap on bandwidth, a slow disk) does
/// not count. Any other body earns time at that rate, going out and coming in.
inline constexpr std::int64_t kBytesPerSecondMin = 256;
/// What an answer that is held in memory earns at most, beyond its time-out: 70 KB at 9600 baud.
inline constexpr Millis kEarnedMax{45'000};
inline constexpr Millis kBodyBytesMinWithin{60'000};
inline constexpr std::uint64_t kBodyBytesMin = 60 * kBytesPerSecondMin;

struct ClientRequest {
  Method method = Method::get;
  std::string url;  ///< absolute
  Headers headers;
  std::string body;
  Millis timeout{30'000};  ///< whole exchange, and what its bodies earn; where a sink is given: until the header is there, then the longest silence
  std::uint64_t body_limit = 8 * 1024 * 1024;  ///< of a 2xx answer; any other may have 64 KiB
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;  ///< empty where a sink took it
  [[nodiscard]] std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

/// Takes a body piece by piece; an error ends the exchange and is returned. Called with the pieces of 2xx answers only.
using BodySink = std::function<Result<void>(ClientResponse const& head, BytesView piece)>;

/// Asks a peer, one exchange at a time: `Client`, or in a test a peer in the same process.
class Exchanger {
public:
  virtual ~Exchanger() = default;
  /// @errors as Client::send
  virtual Result<ClientResponse> send(ClientRequest const& request, BodySink const& sink) = 0;
  virtual void cancel() = 0;
};
/// Makes one. @errors bad_input (certificate or key)
using Connect = std::function<Result<std::unique_ptr<Exchanger>>(ClientConfig config, Clock& clock)>;
/// By TLS, over the network.
[[nodiscard]] Connect over_network();

/// A blocking HTTP/1.1 client on non-blocking sockets: keep-alive to each origin it spoke to last, TLS session resumption, a deadline on everything.
/// One thread at a time uses it, save `cancel`.
class Client final : public Exchanger {
public:
  /// @param clock  deadlines are judged by it: one that moves by itself, or a silent peer is waited for without end
  /// @errors bad_input (certificate or key)
  static Result<Client> create(ClientConfig config, Clock& clock);
  /// Whether a client can be made of it: its certificates and key are read. @errors as create
  static Result<void> check(ClientConfig const& config);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client() override;

  /// One exchange; a stale kept connection is replaced and tried once more when the request is safe to repeat.
  /// @errors unavailable (refused, reset, name unknown; the text says which; `answer_cut`: in mid-answer), timeout, signature (TLS: the peer's certificate), too_large
  /// (`body_too_large`; of an answer other than 2xx with the kind of its status), bad_input (answer is not HTTP) Any HTTP status is a success here.
  Result<ClientResponse> send(ClientRequest const& request, BodySink const& sink = {}) override;
  /// From any thread: ends the exchange under way with unavailable, code `cancelled`; with none under way, the next one.
  void cancel() override;
  /// Closes kept connections: after a change of network or certificate.
  void reset();

private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fleet::net
