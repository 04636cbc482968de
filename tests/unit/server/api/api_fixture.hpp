#pragma once

#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/api/api_handler.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/signing/key_ring.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

#include <fmt/format.h>

#include <future>

namespace fleet::test {

/// One answer, as the connection would send it.
struct Answer {
  int status = 0;
  net::Headers headers;
  std::string body;
  [[nodiscard]] std::string header(std::string_view name) const { return std::string(net::find_header(headers, name)); }
  [[nodiscard]] boost::json::value json() const { return boost::json::value(*wire::parse_json(body, 16 * 1024 * 1024)); }
  [[nodiscard]] std::string code() const { return text("code"); }
  [[nodiscard]] std::string text(std::string_view member) const { return std::string(json().at(member).as_string()); }
};

/// Takes the answer in place of a connection.
struct CatchingSink final : net::Responder::Sink {
  std::promise<net::Response> promise;
  void answer(net::Response response) override { promise.set_value(std::move(response)); }
  [[nodiscard]] bool alive() const override { return true; }
};

/// A request under construction.
struct Ask {
  net::Method method = net::Method::get;
  std::string target;
  std::string body = {};
  std::string token = "flt_admin";
  net::Headers headers = {};
};

/// What the tests' own routes do.
struct Probe {
  inline static std::atomic<int> runs{0};
  inline static std::atomic<bool> open{false};  ///< what /probe/block and /probe/long wait for
  static void open_gate() {
    open = true;
    open.notify_all();
  }
};
std::vector<api::Route> const& probe_routes();

/// Both listeners over a real store, called with hand-made requests.
struct ApiFixture : StoreFixture {
  api::ApiHandler api{
      services,
      api::Listener::api,
      {&api::system_routes(), &api::audit_routes(), &api::trust_routes(), &api::registry_routes(), &api::group_routes(), &api::rollout_routes(), &api::bundle_routes(), &api::support_routes(), &api::cost_routes(), &probe_routes()}};
  api::ApiHandler devices{services, api::Listener::device, {&api::system_routes(), &api::audit_routes(), &api::trust_routes(), &api::registry_routes(), &probe_routes()}};
  net::Peer peer{"127.0.0.1:1", true, false, {}, {}, {}, {}};
  std::unique_ptr<net::Attachment> attachment;  ///< of the one device connection

  std::unique_ptr<blobs::BlobStore> blob_store = blobs::in_folder(system_fs(), dir.path(), false);
  signing::KeyRing keys{system_fs(), system_random(), dir.path() + "/keys"};
  std::unique_ptr<rollout::Engine> rollouts = *rollout::Engine::create(services);

  ApiFixture() {
    services.keys = &keys;
    services.blobs = blob_store.get();
    services.rollouts = rollouts.get();
    std::filesystem::create_directories(dir.path() + "/keys");
    Probe::runs = 0;
    Probe::open = false;
    for (auto const* role : {"viewer", "operator", "publisher", "approver", "admin"}) add_token(role, role);
  }
  /// A token with the secret `flt_NAME`.
  void add_token(std::string const& name, std::string const& role, std::optional<std::string> const& model = {},
                 std::optional<std::string> const& selector = {}) {
    sql({"test.token",
         "INSERT INTO tokens (id, name, role, model, selector, hash, created_by, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'test', 0, ?7)"},
        "tok-" + name, name, role, model, selector, crypto::sha256("flt_" + name), to_unix_ms(kStart + std::chrono::hours(24 * 30)));
  }
  void add_device(std::string const& id, Digest const& key, std::string const& labels = "{}") {
    sql({"test.device", "INSERT INTO devices (id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?1, 'cam-a', 'active', ?2, ?3, ?4, 0)"},
        id, labels, key, to_unix_ms(kStart + std::chrono::hours(24 * 365)));
  }

  std::future<net::Response> start(Ask const& ask) {
    net::Request request;
    request.method = ask.method;
    request.target = ask.target;
    request.headers = ask.headers;
    if (!ask.token.empty()) request.headers.push_back({"Authorization", "Bearer " + ask.token});
    request.body = ask.body;
    request.peer = &peer;
    return hand_over(api, std::move(request));
  }
  Answer send(Ask const& ask) { return wait(start(ask)); }
  Answer fetch(std::string const& target, std::string const& token = "flt_admin") { return send({net::Method::get, target, {}, token}); }
  Answer submit(std::string const& target, std::string const& body, std::string const& token = "flt_admin", net::Headers const& headers = {}) {
    return send({net::Method::post, target, body, token, headers});
  }
  /// A request on the device's connection.
  Answer device_send(net::Method method, std::string const& target, std::string const& body = {}) {
    net::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    request.peer = &peer;
    request.attachment = &attachment;
    return wait(hand_over(devices, std::move(request)));
  }
  void be_device(Digest const& key) {
    peer.has_certificate = true;
    peer.key_sha256 = key;
    attachment.reset();
  }

private:
  static std::future<net::Response> hand_over(api::ApiHandler& handler, net::Request&& request) {
    auto const sink = std::make_shared<CatchingSink>();
    auto future = sink->promise.get_future();
    handler.handle(std::move(request), net::Responder(sink));
    return future;
  }
  static Answer wait(std::future<net::Response> future) {
    REQUIRE(future.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    auto response = future.get();
    Answer out{response.status, std::move(response.headers), {}};
    if (auto* text = std::get_if<std::string>(&response.body)) out.body = std::move(*text);
    return out;
  }
};

}  // namespace fleet::test
