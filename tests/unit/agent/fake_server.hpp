#pragma once

#include "agent/store/trusted_clock.hpp"
#include "agent/trust/remote.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/x509.hpp"
#include "core/net/server.hpp"
#include "core/trust/compose.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <mutex>

namespace fleet::agent {

/// A server on loopback that answers what a test put there, over real TLS. Unknown paths are 404.
class FakeServer {
public:
  using Answer = std::function<net::Response(net::Request const&)>;

  FakeServer() : authority_(crypto::make_ca("test", kFrom, kUntil).value()) {
    auto const own = crypto::make_server_certificate(authority_, {"127.0.0.1"}, kFrom, kUntil).value();
    net::ListenerConfig listener;
    listener.certificate_pem = own.certificate;
    listener.private_key_pem = own.private_key;
    listener.request_client_certificate = true;
    listener.handler = handler_;
    std::vector<net::ListenerConfig> listeners;
    listeners.push_back(std::move(listener));
    server_ = net::Server::create(std::move(listeners), {}, 1, system_clock()).value();
    server_->start();
  }
  ~FakeServer() { stop(); }
  /// Before what its answers use goes. Nothing is answered afterwards.
  void stop() {
    if (server_) server_->stop(Millis{0});
    server_.reset();
  }

  void answer(std::string const& path, Answer with) {
    std::lock_guard const lock(handler_->mutex);
    handler_->answers[path] = std::move(with);
  }
  void put(std::string const& path, std::string body) {
    put_there_[path] = body;
    answer(path, [body = std::move(body)](net::Request const&) { return net::json_response(200, body); });
  }
  void drop(std::string const& path) {
    std::lock_guard const lock(handler_->mutex);
    handler_->answers.erase(path);
  }
  [[nodiscard]] std::vector<std::string> asked() const {
    std::lock_guard const lock(handler_->mutex);
    return handler_->asked;
  }
  /// What was put there, by path.
  [[nodiscard]] std::map<std::string, std::string> const& put_there() const { return put_there_; }
  [[nodiscard]] std::string url() const { return "https://127.0.0.1:" + std::to_string(server_->port(0)); }
  [[nodiscard]] crypto::CertificateAndKey const& authority() const { return authority_; }
  [[nodiscard]] std::unique_ptr<Remote> remote(TrustedClock const& clock, std::vector<std::string> servers = {}) const {
    Identity identity;
    identity.ca = authority_.certificate;
    if (servers.empty()) servers.push_back(url());
    return Remote::create(identity, std::move(servers), clock, system_clock()).value();
  }

private:
  static inline SysTime const kFrom = compiled_at() - std::chrono::days{1};
  static inline SysTime const kUntil = compiled_at() + std::chrono::days{3650};
  struct Handler final : net::Handler {
    mutable std::mutex mutex;
    std::map<std::string, Answer, std::less<>> answers;
    std::vector<std::string> asked;
    std::uint64_t body_limit(net::Method, std::string_view) override { return 1 << 20; }
    void handle(net::Request&& request, net::Responder responder) override {
      Answer found;
      {
        std::lock_guard const lock(mutex);
        asked.emplace_back(request.path);
        if (auto const at = answers.find(request.path); at != answers.end()) found = at->second;
      }
      responder(found ? found(request) : net::json_response(404, R"({"code":"not_found","detail":"there is nothing"})"));
    }
  };
  crypto::CertificateAndKey authority_;
  std::map<std::string, std::string> put_there_;
  std::shared_ptr<Handler> handler_ = std::make_shared<Handler>();
  std::unique_ptr<net::Server> server_;
};

/// A release repository and a directive root of one key each, as a managed server has them.
class FakeFleet {
public:
  explicit FakeFleet(FakeServer& server) : server_(server) {
    for (auto const& [prefix, key] : {std::pair{"/device/v1/tuf/", &release_key}, std::pair{"/device/v1/directive/", &directive_key}}) {
      trust::RootSpec root{1, now() + std::chrono::days{365}, {}, "directive"};
      for (auto const* const role : {"root", "targets", "snapshot", "timestamp"}) root.roles[role] = {{key->public_key()}, 1};
      (key == &release_key ? release_root : directive_root) = trust::compose_root(root, {key, 1});
      server_.put(std::string(prefix) + "1.root.json", key == &release_key ? release_root : directive_root);
    }
  }

  /// Signs and serves a release, and names it as a directive does.
  wire::DirectiveTarget publish(wire::Release const& release) {
    auto const document = wire::encode(release);
    auto const digest = crypto::sha256(document).hex();
    auto const path = "models/" + release.model + "/" + release.version + "/release.json";
    targets_.push_back({path, document.size(), {{"sha256", digest}}, {}});
    server_.put("/device/v1/tuf/targets/models/" + release.model + "/" + release.version + "/" + digest + ".release.json", document);
    sign(now());
    wire::DirectiveTarget out;
    out.model = release.model;
    out.path = path;
    out.length = document.size();
    out.hashes = {{"sha256", digest}};
    out.rollout = "ro-1";
    out.attempt = 1;
    return out;
  }

  void sign(SysTime at) {
    ++version_;
    auto const day = std::chrono::days{1};
    auto const key = std::span(&release_key, 1);
    auto const name = std::to_string(version_);
    server_.put("/device/v1/tuf/" + name + ".targets.json", trust::compose_targets(version_, at + 365 * day, targets_, {}, key));
    server_.put("/device/v1/tuf/" + name + ".snapshot.json", trust::compose_snapshot(version_, at + 7 * day, {{"targets.json", {version_}}}, key));
    server_.put("/device/v1/tuf/timestamp.json", trust::compose_timestamp(version_, at + day, version_, key));
  }

  [[nodiscard]] std::string envelope(wire::Directive const& directive, crypto::SigningKey const& key) const {
    auto const payload = wire::encode(directive);
    return trust::make_envelope(wire::kDirectivePayloadType, as_bytes(payload), {&key, 1});
  }
  [[nodiscard]] static SysTime now() { return compiled_at() + std::chrono::days{1}; }

  SeededRandom random{11};
  crypto::SigningKey release_key = crypto::SigningKey::generate(random);
  crypto::SigningKey directive_key = crypto::SigningKey::generate(random);
  std::string release_root, directive_root;

private:
  FakeServer& server_;
  std::vector<trust::Target> targets_;
  std::int64_t version_ = 0;
};

}  // namespace fleet::agent
