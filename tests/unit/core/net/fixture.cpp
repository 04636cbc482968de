#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>

namespace fleet::net::testing {
namespace {

constexpr Millis kPatience{5'000};

Pki make_pki() {
  auto const now = system_clock().wall();
  auto const day = std::chrono::hours{24};
  Pki pki;
  pki.ca = crypto::make_ca("Test CA", now - day, now + 30 * day).value();
  pki.other_ca = crypto::make_ca("Other CA", now - day, now + 30 * day).value();
  pki.server = crypto::make_server_certificate(pki.ca, {"127.0.0.1", "localhost"}, now - day, now + 30 * day).value();
  pki.future = crypto::make_server_certificate(pki.ca, {"127.0.0.1"}, now + day, now + 30 * day).value();
  pki.device.private_key = crypto::make_private_key().value();
  auto const request = crypto::make_request(pki.device.private_key, "device-1").value();
  pki.device.certificate = crypto::issue_device_certificate(pki.ca, request, "device-1", now - day, now + 30 * day).value();
  return pki;
}

}  // namespace

Pki const& Pki::get() {
  static Pki const pki = make_pki();
  return pki;
}

void ScriptedHandler::handle(Request&& request, Responder responder) {
  if (auto const script = scripts.find(request.path); script != scripts.end()) return script->second(std::move(request), std::move(responder));
  if (request.path != "/park") return responder(json_response(200, fmt::format("{} {} {}", to_string(request.method), request.target, request.body)));
  {
    std::lock_guard const lock{mutex_};
    parked_.push_back(std::move(responder));
  }
  changed_.notify_all();
}

void ScriptedHandler::await_parked(std::size_t count) {
  std::unique_lock lock{mutex_};
  REQUIRE(changed_.wait_for(lock, kPatience, [&] { return parked_.size() >= count; }));
}

Responder ScriptedHandler::take_parked() {
  std::lock_guard const lock{mutex_};
  auto responder = std::move(parked_.front());
  parked_.erase(parked_.begin());
  return responder;
}

bool ScriptedHandler::parked_alive() {
  std::lock_guard const lock{mutex_};
  return parked_.front().alive();
}

TestServer::TestServer(ServerLimits limits, unsigned threads, crypto::CertificateAndKey const& identity) {
  ListenerConfig listener;
  listener.name = "test";
  listener.certificate_pem = identity.certificate;
  listener.private_key_pem = identity.private_key;
  listener.request_client_certificate = true;
  listener.client_ca_names_pem = Pki::get().ca.certificate;
  listener.handler = handler;
  std::vector<ListenerConfig> listeners;
  listeners.push_back(std::move(listener));
  auto made = Server::create(std::move(listeners), limits, threads);
  REQUIRE(made.has_value());
  server = *std::move(made);
  server->start();
}

std::string TestServer::url(std::string_view target, std::string_view host) const { return fmt::format("https://{}:{}{}", host, server->port(0), target); }

ClientConfig trusting_config() {
  ClientConfig config;
  config.ca_pem = Pki::get().ca.certificate;
  return config;
}

ClientConfig device_config() {
  auto config = trusting_config();
  config.certificate_pem = Pki::get().device.certificate;
  config.private_key_pem = Pki::get().device.private_key;
  return config;
}

ClientRequest get(std::string url) {
  ClientRequest request;
  request.url = std::move(url);
  return request;
}

ClientRequest post(std::string url, std::string body) {
  auto request = get(std::move(url));
  request.method = Method::post;
  request.body = std::move(body);
  return request;
}

Client make_client(ClientConfig config) {
  auto client = Client::create(std::move(config));
  REQUIRE(client.has_value());
  return *std::move(client);
}

RawPeer::RawPeer(TestServer const& server, SSL_SESSION* session) : never_(Waker::create().value()), context_(make_client_context(device_config()).value()) {
  auto const url = Url::parse(server.url("/")).value();
  auto opened = ClientConnection::open(url, context_.get(), session, patience());
  REQUIRE(opened.has_value());
  connection_.emplace(*std::move(opened));
}

Patience RawPeer::patience() { return {system_clock(), system_clock().mono() + kPatience, never_}; }

void RawPeer::send(std::string_view bytes) { REQUIRE(try_send(bytes)); }

std::string RawPeer::receive(std::function<bool(std::string const&)> const& enough) {
  std::string all;
  std::array<char, 16 * 1024> buffer{};
  while (!enough || !enough(all)) {
    auto const got = connection_->read(buffer, patience());
    if (!got) REQUIRE_MESSAGE(got.error().kind != Kind::timeout, "the server neither answered nor closed; so far: " << all);
    if (!got || *got == 0) break;
    all.append(buffer.data(), *got);
  }
  return all;
}

std::string RawPeer::receive_answers(std::size_t count) {
  return receive([&](std::string const& all) {
    std::size_t done = 0;
    for (std::size_t at = 0;;) {
      auto const head = all.find("\r\n\r\n", at);
      if (head == std::string::npos) return done >= count;
      auto const length = all.find("Content-Length: ", at);
      if (length < head) at = head + 4 + static_cast<std::size_t>(std::stoul(all.substr(length + 16)));
      else at = head + 4;
      if (at > all.size()) return done >= count;
      if (++done >= count) return true;
    }
  });
}

bool eventually(std::function<bool()> const& holds) {
  auto const until = system_clock().mono() + kPatience;
  while (!holds()) {
    if (system_clock().mono() >= until) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

int status_of(std::string_view answer) { return answer.size() < 12 ? 0 : std::stoi(std::string{answer.substr(9, 3)}); }

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

}  // namespace fleet::net::testing
