#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>

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

SslPtr<SSL> on_blocking_socket(SSL_CTX* context, int fd) {
  ::fcntl(fd, F_SETFL, 0);
  timeval const limit{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  SslPtr<SSL> ssl{SSL_new(context)};
  SSL_set_fd(ssl.get(), fd);
  return ssl;
}

ListenerConfig listener_of(crypto::CertificateAndKey const& identity) {
  ListenerConfig listener;
  listener.name = "test";
  listener.certificate_pem = identity.certificate;
  listener.private_key_pem = identity.private_key;
  listener.request_client_certificate = true;
  listener.client_ca_names_pem = Pki::get().ca.certificate;
  return listener;
}

}  // namespace

Pki const& Pki::get() {
  static Pki const pki = make_pki();
  return pki;
}

void ScriptedHandler::handle(Request&& request, Responder responder) {
  if (auto const script = scripts.find(request.path); script != scripts.end()) return script->second(std::move(request), std::move(responder));
  if (request.path == "/known") request.standing->recognise(request.peer->key_sha256);
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
  begin(limits, threads, listener_of(identity));
}

TestServer::TestServer(ServerLimits limits, std::function<void(ListenerConfig&)> const& change) {
  auto listener = listener_of(Pki::get().server);
  change(listener);
  begin(limits, 1, std::move(listener));
}

void TestServer::begin(ServerLimits limits, unsigned threads, ListenerConfig listener) {
  listener.handler = handler;
  std::vector<ListenerConfig> listeners;
  listeners.push_back(std::move(listener));
  auto made = Server::create(std::move(listeners), limits, threads, system_clock());
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
  auto client = Client::create(std::move(config), system_clock());
  REQUIRE(client.has_value());
  return *std::move(client);
}

RawPeer::RawPeer(TestServer const& server, SSL_SESSION* session, std::vector<std::string> const& preamble)
    : context_(make_client_context(device_config(), &system_clock()).value()) {
  auto never = Waker::create().value();
  fd_ = connect_to("127.0.0.1", server.server->port(0), {system_clock(), system_clock().mono() + kPatience, never}).value();
  for (auto const& piece : preamble) REQUIRE(::send(fd_.get(), piece.data(), piece.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(piece.size()));
  ssl_ = on_blocking_socket(context_.get(), fd_.get());
  if (session != nullptr) SSL_set_session(ssl_.get(), session);
  REQUIRE(SSL_connect(ssl_.get()) == 1);
}

bool RawPeer::try_send(std::string_view bytes) {
  SigpipeBlocked const guard;
  while (!bytes.empty()) {
    int const sent = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawPeer::send(std::string_view bytes) { REQUIRE(try_send(bytes)); }

std::string RawPeer::receive_until(std::function<bool(std::string const&)> const& enough) {
  std::string all;
  std::array<char, 16 * 1024> buffer{};
  while (!enough || !enough(all)) {
    int const got = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (got <= 0) {
      REQUIRE_MESSAGE(SSL_get_error(ssl_.get(), got) != SSL_ERROR_WANT_READ, "the server neither answered nor closed; so far: " << all);
      break;
    }
    all.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return all;
}

SslPtr<SSL_SESSION> RawPeer::session() const { return SslPtr<SSL_SESSION>{SSL_get1_session(ssl_.get())}; }

void RawPeer::half_close() {
  SigpipeBlocked const guard;
  SSL_shutdown(ssl_.get());
  ::shutdown(fd_.get(), SHUT_WR);
}

void RawPeer::hang_up() { fd_ = Fd{}; }

LyingServer::LyingServer(std::string bytes, std::size_t piece, std::function<void()> before_each)
    : bytes_(std::move(bytes)), piece_(piece), before_each_(std::move(before_each)) {
  ListenerConfig config;
  config.certificate_pem = Pki::get().server.certificate;
  config.private_key_pem = Pki::get().server.private_key;
  context_ = make_server_context(config).value();
  listener_ = Fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener_.get(), 8) == 0);
  thread_ = std::thread([this] {
    SigpipeBlocked const guard;
    Fd const fd{::accept(listener_.get(), nullptr, nullptr)};
    if (!fd) return;
    auto const ssl = on_blocking_socket(context_.get(), fd.get());
    if (SSL_accept(ssl.get()) != 1) return;
    std::array<char, 4096> request{};
    if (SSL_read(ssl.get(), request.data(), static_cast<int>(request.size())) <= 0) return;
    for (std::string_view left = bytes_; !left.empty();) {
      if (before_each_) before_each_();
      int const wrote = SSL_write(ssl.get(), left.data(), static_cast<int>(std::min(piece_, left.size())));  // the context writes in parts
      if (wrote <= 0) break;
      left.remove_prefix(static_cast<std::size_t>(wrote));
    }
    SSL_shutdown(ssl.get());
  });
}

LyingServer::~LyingServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

std::string LyingServer::url() const {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return fmt::format("https://127.0.0.1:{}/", ntohs(address.sin_port));
}

std::string RawPeer::receive_answers(std::size_t count) {
  return receive_until([&](std::string const& all) {
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
