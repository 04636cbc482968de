#include "core/net/response_parser.hpp"
#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <thread>

using namespace fleet;
using namespace fleet::net;
using namespace fleet::net::testing;

TEST_CASE("requests to one origin share a connection") {
  TestServer server;
  auto client = make_client();
  for (int i = 0; i < 3; ++i) CHECK(client.send(post(server.url("/a?b"), "body")).value().body == "POST /a?b body");
  CHECK(server.server->counters().accepted == 1);
  client.reset();
  CHECK(client.send(get(server.url("/"))).value().status == 200);
  CHECK(server.server->counters().accepted == 2);
}

TEST_CASE("a name is verified as well as an address") {
  TestServer server;
  CHECK(make_client().send(get(server.url("/", "localhost"))).value().status == 200);
  auto const now = system_clock().wall();
  auto const elsewhere =
      crypto::make_server_certificate(Pki::get().ca, {"fleet.example", "10.0.0.1"}, now - std::chrono::hours{1}, now + std::chrono::hours{24}).value();
  TestServer other{{}, 1, elsewhere};
  for (std::string_view const host : {"127.0.0.1", "localhost"}) {
    auto const answer = make_client().send(get(other.url("/", host)));
    REQUIRE(!answer.has_value());
    CHECK(answer.error().kind == Kind::signature);
    CHECK(answer.error().code == "peer_not_trusted");
  }
}

TEST_CASE("a server of another CA is refused, and so is any without a CA given") {
  TestServer server;
  auto config = trusting_config();
  config.ca_pem = Pki::get().other_ca.certificate;
  CHECK(make_client(config).send(get(server.url("/"))).error().kind == Kind::signature);
  config.ca_pem += Pki::get().ca.certificate;
  CHECK(make_client(config).send(get(server.url("/"))).value().status == 200);
  CHECK(make_client(ClientConfig{}).send(get(server.url("/"))).error().kind == Kind::signature);
}

TEST_CASE("notBefore is pardoned only where the clock is known to be wrong") {
  TestServer server{{}, 1, Pki::get().future};
  auto config = trusting_config();
  auto const early = make_client(config).send(get(server.url("/"))).error();
  CHECK(early.kind == Kind::signature);
  CHECK(early.code == "clock_wrong");
  CHECK(early.detail.find("this machine's clock, which says 20") != std::string::npos);
  config.ignore_not_before = true;
  CHECK(make_client(config).send(get(server.url("/"))).value().status == 200);
}

namespace {

/// The machine's clock, but for the day.
struct OtherDay final : Clock {
  explicit OtherDay(std::string_view text) : day(parse_rfc3339(text).value()) {}
  [[nodiscard]] SysTime wall() const override { return day; }
  [[nodiscard]] MonoTime mono() const override { return system_clock().mono(); }
  SysTime day;
};

}  // namespace

TEST_CASE("certificates are judged by the clock that the client was given, also after 2038") {
  auto const at = [](std::string_view text) { return parse_rfc3339(text).value(); };
  auto const ca = crypto::make_ca("Late CA", at("2024-01-01T00:00:00Z"), at("2120-01-01T00:00:00Z")).value();
  auto const late = crypto::make_server_certificate(ca, {"127.0.0.1"}, at("2039-06-01T00:00:00Z"), at("2106-02-08T00:00:00Z")).value();
  TestServer server{{}, 1, late};
  ClientConfig config;
  config.ca_pem = ca.certificate;
  auto const code_on = [&](char const* day, bool pardons = false) -> std::string {
    OtherDay clock(day);
    config.ignore_not_before = pardons;
    auto const answer = Client::create(config, clock).value().send(get(server.url("/")));
    return answer ? "" : answer.error().code;
  };
  CHECK(code_on("2039-06-01T00:00:00Z").empty());
  CHECK(code_on("2106-02-07T23:59:59Z").empty());
  CHECK(code_on("2106-02-08T00:00:01Z") == "clock_wrong");
  CHECK(code_on("2106-02-08T00:00:01Z", true) == "clock_wrong");
  CHECK(code_on("2039-05-31T23:59:59Z") == "clock_wrong");
  CHECK(code_on("1970-01-01T00:00:00Z") == "clock_wrong");
  CHECK(code_on("1970-01-01T00:00:00Z", true).empty());
}

TEST_CASE("an answer that does not come meets the deadline") {
  TestServer server;
  auto request = get(server.url("/park"));
  request.timeout = Millis{100};
  auto const answer = make_client().send(request);
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == Kind::timeout);
  CHECK(answer.error().detail.find(request.url) != std::string::npos);
}

TEST_CASE("a head that comes byte by byte meets the request's deadline, also where a sink waits for the body") {
  SharedClock clock;
  std::string const head = "HTTP/1.1 200 OK\r\nX: " + std::string(300, 'x') + "\r\nContent-Length: 2\r\n\r\nok";
  LyingServer const server{head, 1, [&] {
                             clock.advance(Millis{29'000});
                             ::poll(nullptr, 0, 1);
                           }};
  auto client = Client::create(trusting_config(), clock).value();
  BodySink const sink = [](ClientResponse const&, BytesView) -> Result<void> { return {}; };
  auto const answer = client.send(get(server.url()), sink);
  REQUIRE(!answer.has_value());
  CHECK(answer.error().kind == Kind::timeout);
}

TEST_CASE("a body for a sink must come at its least rate; a byte now and then holds nobody") {
  struct Case {
    std::size_t piece;
    Millis each;
    bool comes;
  };
  std::string const body(300'000, 'b');
  auto const head = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.size());
  for (auto const& [piece, each, comes] : {Case{1, Millis{29'000}, false}, Case{256, Millis{2'000}, false}, Case{960, Millis{1'000}, true}, Case{8 * 1024, Millis{4'000}, true}}) {
    CAPTURE(piece);
    SharedClock clock;
    std::atomic<std::size_t> sunk{0};
    std::atomic<bool> ended{false};
    std::size_t sent = 0;
    // Each piece follows the one before when the sink has it: the client waits again, and time goes by.
    auto const before_each = [&, piece = piece, each = each] {
      if (sent > head.size()) CHECK(eventually([&] { return ended || head.size() + sunk >= sent; }));
      if (sent >= head.size()) clock.advance(each);
      sent += std::min(piece, head.size() + body.size() - sent);
    };
    LyingServer const server{head + body, piece, before_each};
    auto client = Client::create(trusting_config(), clock).value();
    BodySink const sink = [&](ClientResponse const&, BytesView taken) -> Result<void> {
      sunk += taken.size();
      return {};
    };
    auto const answer = client.send(get(server.url()), sink);
    ended = true;
    CHECK(answer.has_value() == comes);
    if (!comes) CHECK(answer.error().kind == Kind::timeout);
    CHECK((sunk == body.size()) == comes);
  }
}

TEST_CASE("the time that a sink takes is not the peer's") {
  TestServer server;
  std::string const large(1'000'000, 'z');
  server.handler->scripts["/large"] = [&](Request&&, Responder responder) { responder({200, {}, large, false}); };
  SharedClock clock;
  auto client = Client::create(trusting_config(), clock).value();
  std::size_t taken = 0;
  BodySink const slow = [&](ClientResponse const&, BytesView piece) -> Result<void> {
    taken += piece.size();
    clock.advance(std::chrono::hours{1});
    return {};
  };
  CHECK(client.send(get(server.url("/large")), slow).has_value());
  CHECK(taken == large.size());
}

TEST_CASE("cancel ends the exchange under way from another thread") {
  TestServer server;
  auto client = make_client();
  std::thread canceller([&] {
    server.handler->await_parked(1);
    client.cancel();
  });
  auto const answer = client.send(get(server.url("/park")));
  canceller.join();
  REQUIRE(!answer.has_value());
  CHECK(answer.error().code == "cancelled");
  CHECK(client.send(get(server.url("/"))).value().status == 200);
}

TEST_CASE("a cancel that comes a moment early is not lost") {
  TestServer server;
  auto client = make_client();
  client.cancel();
  CHECK(client.send(get(server.url("/park"))).error().code == "cancelled");
}

TEST_CASE("answers that are cut short or no HTTP are errors, never half a body") {
  struct Case {
    std::string what, bytes;
    Kind kind;
  };
  for (auto const& row :
       {Case{"no answer", "", Kind::unavailable}, Case{"half a head", "HTTP/1.1 200 OK\r\nConte", Kind::unavailable},
        Case{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Kind::unavailable},
        Case{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Kind::unavailable},
        Case{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", Kind::unavailable},
        Case{"a bare LF in a chunk's extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\n\r\nab\r\n0\r\n\r\n", Kind::bad_input},
        Case{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", Kind::bad_input},
        Case{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Kind::bad_input},
        Case{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nab", Kind::bad_input},
        Case{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", Kind::bad_input},
        Case{"a huge head", "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", Kind::bad_input}}) {
    CAPTURE(row.what);
    LyingServer const server{row.bytes};
    auto const answer = make_client().send(get(server.url()));
    REQUIRE(!answer.has_value());
    CAPTURE(answer.error().detail);
    CHECK(answer.error().kind == row.kind);
  }
}

TEST_CASE("an answer's chunked body may be cut anywhere, any number of times") {
  ClientRequest const asked;
  BodySink const none;
  for (std::string_view const body : {"0\r\n\r\n", "0\r\nX: y\r\n\r\n", "1\r\na\r\n0\r\n\r\n"}) {
    CAPTURE(body);
    ResponseParser parser(asked, none);
    std::string const all = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
    for (std::size_t taken = 0, shown = 1; shown <= all.size(); ++shown) {
      auto const used = parser.feed(std::string_view(all).substr(taken, shown - taken));
      REQUIRE(used.has_value());
      taken += *used;
    }
    CHECK(parser.is_done());
  }
}

TEST_CASE("a body up to the end of the connection and an interim answer are understood") {
  {
    LyingServer const server{"HTTP/1.1 200 OK\r\n\r\nto the end"};
    CHECK(make_client().send(get(server.url())).value().body == "to the end");
  }
  LyingServer const server{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"};
  auto const answer = make_client().send(get(server.url())).value();
  CHECK(answer.status == 201);
  CHECK(answer.body == "ok");
  CHECK(answer.header("Link").empty());
}

TEST_CASE("a sink takes the body of a good answer piece by piece, and may end it") {
  TestServer server;
  std::string const large(5'000'000, 'z');
  server.handler->scripts["/large"] = [&](Request&&, Responder responder) { responder({200, {{"X", "y"}}, large, false}); };
  server.handler->scripts["/bad"] = [](Request&&, Responder responder) { responder(json_response(404, "gone")); };
  auto client = make_client();
  std::size_t taken = 0;
  int pieces = 0;
  BodySink const sink = [&](ClientResponse const& head, BytesView piece) -> Result<void> {
    CHECK(head.header("X") == "y");
    taken += piece.size();
    ++pieces;
    return {};
  };
  CHECK(client.send(get(server.url("/large")), sink).value().body.empty());
  CHECK(taken == large.size());
  CHECK(pieces > 10);
  CHECK(client.send(get(server.url("/bad")), sink).value().body == "gone");
  BodySink const full = [](ClientResponse const&, BytesView) -> Result<void> { return Error{Kind::unavailable, "disk_full", "no room"}; };
  CHECK(client.send(get(server.url("/large")), full).error().code == "disk_full");
  CHECK(client.send(get(server.url("/x"))).value().status == 200);
}

TEST_CASE("an answer over the limit is refused") {
  TestServer server;
  server.handler->scripts["/large"] = [](Request&&, Responder responder) { responder({200, {}, std::string(1001, 'x'), false}); };
  auto request = get(server.url("/large"));
  request.body_limit = 1000;
  auto client = make_client();
  CHECK(client.send(request).error().kind == Kind::too_large);
  request.body_limit = 1001;
  CHECK(client.send(request).value().body.size() == 1001);
}

TEST_CASE("what comes with a refusal is held in 64 KiB, whatever the request's limit; its status is told all the same") {
  TestServer server;
  std::size_t size = 0;
  server.handler->scripts["/gone"] = [&](Request&&, Responder responder) { responder({404, {}, std::string(size, 'x'), false}); };
  auto request = get(server.url("/gone"));
  bool sunk = false;
  BodySink const sink = [&](ClientResponse const&, BytesView) -> Result<void> {
    sunk = true;
    return {};
  };
  auto client = make_client();
  for (auto const& [limit, how] : {std::pair{~std::uint64_t{0}, BodySink{}}, {~std::uint64_t{0}, sink}, {std::uint64_t{10}, sink}}) {
    request.body_limit = limit;
    size = 64 * 1024;
    CHECK(client.send(request, how).value().body.size() == size);
    size = 64 * 1024 + 1;
    auto const refused = client.send(request, how);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == "body_too_large");
    CHECK(refused.error().kind == Kind::not_found);
  }
  CHECK_FALSE(sunk);
}

TEST_CASE("a connection that the server ended meanwhile is replaced, also for a POST") {
  ServerLimits limits;
  limits.idle = Millis{100};
  TestServer server{limits};
  auto client = make_client();
  for (int i = 0; i < 2; ++i) {
    CHECK(client.send(post(server.url("/known"), "x")).value().status == 200);
    CHECK(eventually([&] { return server.server->counters().open == 0; }));
  }
  CHECK(server.server->counters().accepted == 2);
  CHECK(server.server->counters().resumed == 1);
}

TEST_CASE("the refusal of a large body is read although it was not sent whole") {
  TestServer server;
  for (std::size_t const size : {100'000UL, 30'000'000UL}) {
    auto const answer = make_client().send(post(server.url("/"), std::string(size, 'x')));
    REQUIRE(answer.has_value());
    CHECK(answer->status == 413);
  }
}

TEST_CASE("what cannot be reached says why") {
  auto client = make_client();
  CHECK(client.send(get("https://127.0.0.1:1/")).error().code == "connect_failed");
  CHECK(client.send(get("https://no-such-host.invalid/")).error().code == "name_unknown");
  CHECK(client.send(get("http://127.0.0.1/")).error().code == "plain_http");
  auto split = get("https://127.0.0.1:1/");
  split.headers = {{"A", "b\r\nc: d"}};
  CHECK(client.send(split).error().code == "bad_header");
}
