#include "core/net/proxy.hpp"
#include "core/net/client.hpp"
#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <thread>

using namespace fleet;
using namespace fleet::net;

namespace {

ProxyRules from(std::map<std::string, std::string> const& variables) {
  auto rules = ProxyRules::from_environment([&](std::string const& name) {
    auto const found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
  REQUIRE(rules.has_value());
  return *std::move(rules);
}

bool is_proxied(ProxyRules const& rules, std::string const& url) { return rules.find(Url::parse(url).value()) != nullptr; }

}  // namespace

TEST_CASE("a proxy is named by a URL or by host and port, with a user or without") {
  struct Case {
    std::string text, host;
    std::uint16_t port;
    std::string authorization;
  };
  for (auto const& [text, host, port, authorization] : std::to_array<Case>({
           {"http://proxy.example:3128", "proxy.example", 3128, ""},
           {"HTTP://proxy.example:3128/", "proxy.example", 3128, ""},
           {"proxy.example:3128", "proxy.example", 3128, ""},
           {"http://proxy.example", "proxy.example", 80, ""},
           {"http://[fd00::1]:8080", "fd00::1", 8080, ""},
           {"http://user:p%40ss@10.0.0.1:3128", "10.0.0.1", 3128, "Basic dXNlcjpwQHNz"},
           {"http://user@10.0.0.1:3128", "10.0.0.1", 3128, "Basic dXNlcjo="},
       })) {
    CAPTURE(text);
    auto const rules = ProxyRules::create(text, {}, "agent.yaml");
    REQUIRE(rules.has_value());
    auto const* const proxy = rules->find(Url::parse("https://fleet.example:8444").value());
    REQUIRE(proxy != nullptr);
    CHECK(proxy->host == host);
    CHECK(proxy->port == port);
    CHECK(proxy->authorization == authorization);
    CHECK(proxy->name().find("ss") == std::string::npos);
  }
  for (auto const* text : {"https://proxy:3128", "socks5://proxy:1080", "http://", "http://proxy:0", "http://proxy:x", "http://a b:80", "http://u:%zz@proxy:80"}) {
    CAPTURE(text);
    auto const rules = ProxyRules::create(text, {}, "https_proxy");
    REQUIRE_FALSE(rules.has_value());
    CHECK(rules.error().detail.find("https_proxy") != std::string::npos);
  }
}

TEST_CASE("no_proxy: names with all below them, addresses, networks, ports") {
  struct Case {
    std::string no_proxy, url;
    bool proxied;
  };
  for (auto const& [no_proxy, url, proxied] : std::to_array<Case>({
           {"", "https://fleet.example:8444", true},
           {"*", "https://fleet.example:8444", false},
           {"fleet.example", "https://fleet.example", false},
           {"Fleet.Example", "https://FLEET.example", false},
           {"fleet.example", "https://a.fleet.example", false},
           {".fleet.example", "https://a.fleet.example", false},
           {".fleet.example", "https://fleet.example", false},
           {"*.fleet.example", "https://a.fleet.example", false},
           {"fleet.example", "https://myfleet.example", true},
           {"fleet.example.", "https://fleet.example", false},
           {"fleet.example", "https://fleet.example.", false},
           {"other,fleet.example", "https://fleet.example", false},
           {"other fleet.example", "https://fleet.example", false},
           {"fleet.example:8444", "https://fleet.example:8444", false},
           {"fleet.example:8444", "https://fleet.example:8443", true},
           {"10.0.0.0/8", "https://10.1.2.3:8444", false},
           {"10.0.0.0/8", "https://11.1.2.3:8444", true},
           {"10.1.2.3", "https://10.1.2.3:8444", false},
           {"10.1.2.3:8444", "https://10.1.2.3:8444", false},
           {"10.1.2.3:8443", "https://10.1.2.3:8444", true},
           {"10.1.2.0/25", "https://10.1.2.129", true},
           {"fd00::/8", "https://[fd12::1]:8444", false},
           {"[fd12::1]:8444", "https://[fd12::1]:8444", false},
           {"fd12::1", "https://[fd12::1]:8444", false},
           {"10.0.0.0/8", "https://ten.example", true},
           {"10.0.0.0/99", "https://10.1.2.3", true},
           {"0.0.0.0/0", "https://10.1.2.3", false},
           {"", "https://localhost:8444", false},
           {"", "https://127.0.0.2:8444", false},
           {"", "https://[::1]:8444", false},
           {"", "http://fleet.example", false},
       })) {
    CAPTURE(no_proxy);
    CAPTURE(url);
    CHECK(is_proxied(from({{"https_proxy", "http://proxy:3128"}, {"no_proxy", no_proxy}}), url) == proxied);
  }
}

TEST_CASE("the environment in lower case goes before the one in capitals; what the owner writes counts for this machine, too") {
  auto const capitals = from({{"HTTPS_PROXY", "http://one:1"}, {"NO_PROXY", "spared.example"}});
  CHECK(is_proxied(capitals, "https://fleet.example"));
  CHECK_FALSE(is_proxied(capitals, "https://spared.example"));
  auto const both = from({{"HTTPS_PROXY", "http://one:1"}, {"https_proxy", "http://two:2"}});
  CHECK(both.find(Url::parse("https://fleet.example").value())->host == "two");
  CHECK_FALSE(is_proxied(from({}), "https://fleet.example"));
  CHECK_FALSE(is_proxied(from({{"https_proxy", ""}}), "https://fleet.example"));
  CHECK(is_proxied(ProxyRules::create("http://proxy:3128", {}, "agent.yaml").value(), "https://localhost:8444"));
}

namespace {

/// Takes one client, keeps what it asked for, answers with `answer`; after a 2xx it carries bytes both ways to `port` of this machine, until either end closes.
class OneProxy {
public:
  OneProxy(std::string answer, std::uint16_t to_port) : answer_(std::move(answer)), to_(to_port), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneProxy() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // where nobody came
    thread_.join();
  }
  [[nodiscard]] std::string url(std::string_view user = "") const { return fmt::format("http://{}127.0.0.1:{}", user, port_); }
  /// After the client is done.
  [[nodiscard]] std::string const& asked() const { return asked_; }

private:
  static Fd connect_locally(std::uint16_t port) {
    Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? std::move(fd) : Fd{};
  }
  static bool carry(int from, int to) {
    std::array<char, 16384> piece{};
    auto const got = ::recv(from, piece.data(), piece.size(), 0);
    return got > 0 && ::send(to, piece.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
  }
  void serve() {
    Fd client{::accept(listener_.get(), nullptr, nullptr)};
    std::array<char, 4096> piece{};
    while (client && asked_.find("\r\n\r\n") == std::string::npos) {
      auto const got = ::recv(client.get(), piece.data(), piece.size(), 0);
      if (got <= 0) return;
      asked_.append(piece.data(), static_cast<std::size_t>(got));
    }
    if (!client || ::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0 || to_ == 0) return;
    auto const server = connect_locally(to_);
    for (std::array<pollfd, 2> ends{{{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}}}; ::poll(ends.data(), ends.size(), 5'000) > 0;)
      for (std::size_t i = 0; i < 2; ++i)
        if (ends[i].revents != 0 && !carry(ends[i].fd, ends[1 - i].fd)) return;
  }

  std::string answer_;
  std::uint16_t to_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::string asked_;
  std::thread thread_;
};

Result<ClientResponse> ask_through(OneProxy const& proxy, std::string const& url, std::string_view user = "") {
  auto config = testing::trusting_config();
  config.proxy = ProxyRules::create(proxy.url(user), {}, "agent.yaml").value();
  auto client = testing::make_client(config);
  return client.send(testing::get(url));
}

}  // namespace

TEST_CASE("a request goes through the proxy, which alone knows the server's name; TLS is with the server") {
  auto const now = system_clock().wall();
  auto const named =
      crypto::make_server_certificate(testing::Pki::get().ca, {"fleet.test"}, now - std::chrono::hours{1}, now + std::chrono::hours{24}).value();
  testing::TestServer server{{}, 1, named};
  auto const port = server.server->port(0);
  std::string asked;
  {
    OneProxy const proxy("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n", port);
    auto const answer = ask_through(proxy, fmt::format("https://fleet.test:{}/a", port), "user:secret@");
    REQUIRE_MESSAGE(answer.has_value(), answer.error().detail);
    CHECK(answer->body == "GET /a ");
    asked = proxy.asked();
  }
  CHECK(asked == fmt::format("CONNECT fleet.test:{0} HTTP/1.1\r\nHost: fleet.test:{0}\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n", port));
  OneProxy const other("HTTP/1.1 200 OK\r\n\r\n", port);
  CHECK(ask_through(other, fmt::format("https://fleet.example:{}/a", port)).error().code == "peer_not_trusted");
}

TEST_CASE("a proxy that refuses, lies or cannot be reached is told by its name, never with its password") {
  struct Case {
    std::string answer, code, says;
  };
  for (auto const& [answer, code, says] : std::to_array<Case>({
           {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy_refused", "407 Proxy Authentication Required"},
           {"HTTP/1.1 403 \x1b[31mForbidden\r\n\r\n", "proxy_refused", "403 ?[31mForbidden"},
           {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "proxy_refused", "SSH-2.0"},
           {"HTTP/1.1 200 OK\r\n\r\nmore", "proxy_failed", "nobody asked for"},
           {"", "proxy_failed", "without an answer"},
           {"HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x'), "proxy_failed", "too long"},
       })) {
    CAPTURE(answer);
    OneProxy const proxy(answer, 0);
    auto const got = ask_through(proxy, "https://fleet.test:8444/a", "user:secret@");
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == code);
    CHECK(got.error().kind == Kind::unavailable);
    CHECK_MESSAGE(got.error().detail.find(says) != std::string::npos, got.error().detail);
    CHECK(got.error().detail.find("(agent.yaml)") != std::string::npos);
    CHECK(got.error().detail.find("secret") == std::string::npos);
  }
  auto config = testing::trusting_config();
  config.proxy = ProxyRules::create("http://127.0.0.1:1", {}, "https_proxy").value();
  auto const got = testing::make_client(config).send(testing::get("https://fleet.test:8444/a"));
  CHECK(got.error().code == "proxy_failed");
  CHECK(got.error().detail.find("proxy 127.0.0.1:1 (https_proxy)") != std::string::npos);
}
