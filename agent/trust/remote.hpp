#pragma once

#include "agent/store/identity.hpp"
#include "agent/store/trusted_clock.hpp"
#include "core/net/client.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fleet::agent {

/// Reads the certificates (PEM) by which sources are known that are no servers of ours. @errors not_found, io
using LoadCas = std::function<Result<std::string>()>;

/// The server as this device reaches it: its servers in turn, its certificate, the trust in time. One thread uses one; `cancel` from any.
class Remote {
public:
  /// @param waits  exchanges are timed out by it: it moves while they wait
  static Result<std::unique_ptr<Remote>> create(Identity const& identity, std::vector<std::string> servers, TrustedClock const& clock,
                                                Clock& waits, net::ProxyRules proxy = {}, LoadCas load_cas = {},
                                                net::Connect connect = net::over_network());
  /// Whoever answers, and without a certificate: for signed metadata alone, when the servers are no longer known by their CA.
  static Result<std::unique_ptr<Remote>> create_unproven(std::vector<std::string> servers, Clock& waits, net::ProxyRules proxy = {},
                                                         net::Connect connect = net::over_network());

  /// A JSON exchange with the first server that answers. A problem of the server comes back as its Error.
  /// @errors unavailable, timeout, signature (TLS), and what the problem says
  Result<net::ClientResponse> post(std::string const& path, std::string body, Millis timeout, std::uint64_t limit_bytes);
  Result<net::ClientResponse> get(std::string const& path, std::uint64_t limit_bytes);
  /// What of a file is asked for: from `offset` on, to its end where no other is given.
  struct Rest {
    std::uint64_t offset = 0;
    std::uint64_t size_bytes = 0;  ///< of the whole file: more is never taken
    std::uint64_t end = 0;         ///< 0: its end
  };
  /// The rest of a file, or a stretch of it, from `source` (empty: the server), piece by piece. A source by plain HTTP, or one whose certificate is not of our CAs, is a
  /// stranger: it is shown no certificate, and known by the certificates of `load_cas`. What it sends proves itself by its digest.
  /// @errors as above, and too_large (`body_too_large`: the answer is longer than the file)
  Result<net::ClientResponse> fetch(std::string const& source, std::string const& path, Rest rest, net::BodySink const& sink);
  void cancel();
  /// From any thread: the next exchange proves itself with this credential.
  void use(Credential credential);
  /// From any thread: the next exchange trusts servers of these CAs (PEM), and no others.
  void trust(std::string ca);
  [[nodiscard]] std::vector<std::string> const& servers() const { return servers_; }
  [[nodiscard]] net::ProxyRules const& proxy() const { return config_.proxy; }
  [[nodiscard]] net::Connect const& connect() const { return connect_; }
  [[nodiscard]] std::string const& server() const { return servers_[at_]; }
  /// What the last refusal asked for (Retry-After, in seconds, at most an hour); 0 when it asked for nothing.
  [[nodiscard]] Millis retry_after() const { return retry_after_; }

private:
  Remote(net::ClientConfig config, Clock& waits, net::Connect connect, std::unique_ptr<net::Exchanger> client, std::vector<std::string> servers)
      : config_(std::move(config)), waits_(waits), connect_(std::move(connect)), client_(std::move(client)), servers_(std::move(servers)) {}
  Result<void> take_changes();
  Result<net::ClientResponse> refused(net::ClientResponse const& response);
  Result<net::ClientResponse> send(net::ClientRequest request, std::string const& path);
  /// Nothing: it is a stranger.
  Result<std::optional<net::ClientResponse>> fetch_as_ours(std::string const& source, net::ClientRequest const& request, net::BodySink const& sink);
  Result<net::ClientResponse> fetch_from_stranger(net::ClientRequest const& request, net::BodySink const& sink);
  net::ClientConfig config_;
  Clock& waits_;
  net::Connect connect_;
  std::mutex mutex_;  ///< of what is awaited, and of client_ against being replaced while another thread cancels
  std::optional<Credential> credential_;
  std::string trusted_;
  std::unique_ptr<net::Exchanger> client_, stranger_;  ///< the second once a stranger is asked
  std::set<std::string> strangers_;
  LoadCas load_cas_;
  std::vector<std::string> servers_;
  std::size_t at_ = 0;
  Millis retry_after_{0};
};

/// Makes remotes, one for each thread that speaks to the server, and lets all of them follow a renewed credential and a new CA. Thread-safe.
class Remotes {
public:
  Remotes(Identity identity, std::vector<std::string> servers, TrustedClock const& clock, Clock& waits, net::ProxyRules proxy = {}, LoadCas load_cas = {},
          net::Connect connect = net::over_network());
  /// @errors bad_input (no server, certificate or key)
  Result<std::shared_ptr<Remote>> make();
  void use(Credential credential);
  void trust(std::string ca);

private:
  void each(std::function<void(Remote&)> const& apply);
  std::mutex mutex_;
  Identity identity_;
  std::vector<std::string> servers_;
  TrustedClock const& clock_;
  Clock& waits_;
  net::ProxyRules proxy_;
  LoadCas load_cas_;
  net::Connect connect_;
  std::vector<std::weak_ptr<Remote>> made_;
};

/// What the code of an error begins with that a peer's answer stands for: `server_unknown_device`. No code made on the device begins so, and
/// therefore no peer can speak for a part of it (`cancelled`, `over_budget`).
inline constexpr std::string_view kPeerSays = "server_";

/// The error a problem answer (RFC 9457) stands for; its code begins with kPeerSays.
[[nodiscard]] Error error_of(net::ClientResponse const& response);
/// For people: the same error with the code as the server and its guides name it.
[[nodiscard]] Error in_the_words_of_the_server(Error error);

}  // namespace fleet::agent
