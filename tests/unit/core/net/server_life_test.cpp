#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <future>
#include <thread>

using namespace fleet;
using namespace fleet::net;
using namespace fleet::net::testing;

TEST_CASE("stopping lets a pending answer out, and says that the connection ends") {
  TestServer server;
  auto asked = std::async(std::launch::async, [&] { return make_client().send(get(server.url("/park"))); });
  server.handler->await_parked(1);
  auto stopped = std::async(std::launch::async, [&] { server.server->stop(Millis{5'000}); });
  server.handler->take_parked()(json_response(200, "done"));
  auto const answer = asked.get();
  stopped.get();
  REQUIRE(answer.has_value());
  CHECK(answer->body == "done");
  CHECK(make_client().send(get(server.url("/"))).error().kind == Kind::unavailable);
}

TEST_CASE("stopping cuts what is still pending at the deadline") {
  TestServer server;
  auto asked = std::async(std::launch::async, [&] { return make_client().send(get(server.url("/park"))); });
  server.handler->await_parked(1);
  server.server->stop(Millis{50});
  CHECK(asked.get().error().kind == Kind::unavailable);
  CHECK(!server.handler->parked_alive());
  CHECK(server.server->counters().open == 0);
}

TEST_CASE("a responder may outlive its server") {
  Responder kept;
  std::shared_ptr<ScriptedHandler> handler;
  {
    TestServer server;
    handler = server.handler;
    RawPeer peer{server};
    peer.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n");
    handler->await_parked(1);
    kept = handler->take_parked();
  }
  CHECK(!kept.alive());
  kept(json_response(200, "nobody hears it"));
}

TEST_CASE("a second server on the same port is refused, although threads share theirs") {
  TestServer server{{}, 2};
  ListenerConfig listener;
  listener.name = "second";
  listener.port = server.server->port(0);
  listener.certificate_pem = Pki::get().server.certificate;
  listener.private_key_pem = Pki::get().server.private_key;
  listener.handler = server.handler;
  std::vector<ListenerConfig> listeners{listener};
  auto const second = Server::create(listeners, {}, 2, system_clock());
  REQUIRE(!second.has_value());
  CHECK(second.error().kind == Kind::unavailable);
  CHECK(second.error().detail.find(std::to_string(listener.port)) != std::string::npos);
}

TEST_CASE("a certificate or key that is none is refused at once") {
  auto const& good = Pki::get().server;
  for (auto const& [certificate, key] : {std::pair{std::string{}, good.private_key},
                                         {good.certificate, std::string{}},
                                         {good.certificate, Pki::get().device.private_key},
                                         {std::string{"x"}, std::string{"y"}}}) {
    ListenerConfig listener;
    listener.certificate_pem = certificate;
    listener.private_key_pem = key;
    std::vector<ListenerConfig> listeners{listener};
    auto const made = Server::create(listeners, {}, 1, system_clock());
    REQUIRE(!made.has_value());
    CHECK(made.error().kind == Kind::bad_input);
  }
}

TEST_CASE("connections over the limit are turned away, and room that comes back is used") {
  TestServer server{{}, [](ListenerConfig& listener) { listener.door.connections = 2; }};
  {
    RawPeer const first{server};
    RawPeer const second{server};
    CHECK(make_client().send(get(server.url("/"))).error().kind == Kind::unavailable);
    CHECK(server.server->counters().connections_refused == 1);
    CHECK(server.server->counters().requests_refused == 0);
  }
  CHECK(eventually([&] { return server.server->counters().open == 0; }));
  CHECK(make_client().send(get(server.url("/"))).value().status == 200);
}

TEST_CASE("a request that is refused counts as that, not as a connection over the limit") {
  ServerLimits limits;
  limits.header = Millis{100};
  TestServer server{limits};
  for (auto const& [sent, status] : {std::pair{std::string{"no HTTP\r\n\r\n"}, 400},
                                     {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
                                     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", 413},
                                     {"GET / HTTP/1.1\r\nHo", 408}}) {
    auto const before = server.server->counters();
    RawPeer peer{server};
    peer.send(sent);
    CHECK(status_of(peer.receive()) == status);
    auto const after = server.server->counters();
    CHECK(after.requests_refused == before.requests_refused + 1);
    CHECK(after.connections_refused == 0);
    CHECK(after.requests == before.requests);
  }
}

TEST_CASE("without free descriptors accepting backs off instead of spinning, and recovers") {
  TestServer server;
  Fd const peer{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.server->port(0));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit const none{3, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  auto const cpu = [] {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000 + used.ru_stime.tv_sec * 1000 + used.ru_stime.tv_usec / 1000;
  };
  int const connected = ::connect(peer.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address);
  std::atomic<bool> passed{false};
  auto const start = cpu();
  server.server->after(0, Millis{300}, [&] { passed = true; });
  bool const waited = eventually([&] { return passed.load(); });
  auto const used = cpu() - start;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(connected == 0);
  CHECK(waited);
  CHECK(server.server->counters().accepted == 0);
  CHECK(used < 150);
  CHECK(eventually([&] { return server.server->counters().accepted == 1; }));
}

TEST_CASE("jobs run on the io thread they were given to") {
  TestServer server{{}, 2};
  CHECK(server.server->current_thread() == 2);
  for (std::size_t thread = 0; thread < 2; ++thread) {
    std::promise<std::size_t> ran;
    server.server->after(thread, Millis{0}, [&] { ran.set_value(server.server->current_thread()); });
    CHECK(ran.get_future().get() == thread);
  }
}

TEST_CASE("what a handler remembers on a connection lasts as long as the connection") {
  struct Count final : Attachment {
    int value = 0;
  };
  TestServer server;
  server.handler->scripts["/count"] = [](Request&& asked, Responder responder) {
    if (!*asked.attachment) *asked.attachment = std::make_unique<Count>();
    responder({200, {}, std::to_string(++static_cast<Count&>(**asked.attachment).value), false});
  };
  auto first = make_client();
  auto second = make_client();
  CHECK(first.send(get(server.url("/count"))).value().body == "1");
  CHECK(first.send(get(server.url("/count"))).value().body == "2");
  CHECK(second.send(get(server.url("/count"))).value().body == "1");
}
