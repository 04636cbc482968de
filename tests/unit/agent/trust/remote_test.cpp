#include "tests/unit/agent/fake_server.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

struct Bench {
  FakeServer server;
  CrashFs fs;
  FakeClock clock{FakeFleet::now()};
  TrustedClock trusted = TrustedClock::load(fs, clock, "/state/floor");
};

}  // namespace

TEST_CASE("the next server is asked when the first does not answer, and stays the first from then on") {
  Bench bench;
  bench.server.put("/x", "{}");
  auto const remote = bench.server.remote(bench.trusted, {"https://127.0.0.1:1", bench.server.url()});
  REQUIRE(remote->get("/x", 1024).has_value());
  CHECK(remote->server() == bench.server.url());
}

TEST_CASE("a problem of the server comes back as its error, with what it asks for in Retry-After") {
  Bench bench;
  bench.server.answer("/busy", [](net::Request const&) {
    auto response = net::json_response(429, R"({"code":"too_many","detail":"later","hint":"wait"})");
    response.headers.push_back({"Retry-After", "17"});
    return response;
  });
  bench.server.answer("/odd", [](net::Request const&) {
    auto response = net::json_response(503, "<html>");
    response.headers.push_back({"Retry-After", "9999999999"});
    return response;
  });
  bench.server.put("/fine", "{}");
  auto const remote = bench.server.remote(bench.trusted);
  auto const busy = remote->get("/busy", 1024);
  REQUIRE_FALSE(busy.has_value());
  CHECK(busy.error().kind == Kind::throttled);
  CHECK(busy.error().code == "server_too_many");
  CHECK(busy.error().hint == "wait");
  CHECK(remote->retry_after() == std::chrono::seconds{17});
  auto const odd = remote->get("/odd", 1024);
  REQUIRE_FALSE(odd.has_value());
  CHECK(odd.error().kind == Kind::unavailable);
  CHECK(remote->retry_after() == std::chrono::hours{1});
  REQUIRE(remote->get("/fine", 1024).has_value());
  CHECK(remote->retry_after() == Millis{0});
}

TEST_CASE("a renewed certificate is used from the next exchange on") {
  Bench bench;
  Identity identity;
  identity.ca = bench.server.authority().certificate;
  identity.private_key = crypto::make_private_key().value();
  auto const request = crypto::make_request(identity.private_key, "cam-1").value();
  auto const until = FakeFleet::now() + std::chrono::days{300};
  identity.certificate = crypto::issue_device_certificate(bench.server.authority(), request, "cam-1", compiled_at() - std::chrono::days{1}, until).value();
  auto const renewed =
      crypto::issue_device_certificate(bench.server.authority(), request, "cam-1", compiled_at() - std::chrono::days{1}, until + std::chrono::days{90}).value();
  std::vector<SysTime> shown;
  bench.server.answer("/x", [&](net::Request const& asked) {
    shown.push_back(asked.peer->not_after);
    return net::json_response(200, "{}");
  });
  auto const remote = Remote::create(identity, {bench.server.url()}, bench.trusted, system_clock()).value();
  REQUIRE(remote->get("/x", 1024).has_value());
  remote->use({identity.private_key, renewed});
  REQUIRE(remote->get("/x", 1024).has_value());
  REQUIRE(shown.size() == 2);
  CHECK(shown[1] - shown[0] == std::chrono::days{90});
}

TEST_CASE("a server with a certificate of another authority is not spoken to") {
  Bench bench, other;
  bench.server.put("/x", "{}");
  auto const remote = other.server.remote(other.trusted, {bench.server.url()});
  auto const got = remote->get("/x", 1024);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().kind == Kind::signature);
  CHECK(bench.server.asked().empty());
}

TEST_CASE("a source that is no server of ours is known by the owner's CAs, is shown no certificate and asked for files alone") {
  Bench bench, stranger;
  int shown = 0;
  stranger.server.answer("/file", [&](net::Request const& asked) {
    shown += asked.peer->has_certificate ? 1 : 0;
    return net::json_response(200, "bytes");
  });
  Identity identity;
  identity.ca = bench.server.authority().certificate;
  identity.private_key = crypto::make_private_key().value();
  auto const request = crypto::make_request(identity.private_key, "cam-1").value();
  identity.certificate = crypto::issue_device_certificate(bench.server.authority(), request, "cam-1", compiled_at() - std::chrono::days{1},
                                                          FakeFleet::now() + std::chrono::days{300})
                             .value();
  std::string got, cas;
  net::BodySink const sink = [&](net::ClientResponse const&, BytesView piece) -> Result<void> {
    got += as_text(piece);
    return {};
  };
  auto const remote_with = [&] { return Remote::create(identity, {bench.server.url()}, bench.trusted, system_clock(), {}, [&]() -> Result<std::string> { return cas; }).value(); };
  auto const unknown = remote_with()->fetch(stranger.server.url(), "/file", {0, 5}, sink);
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().code == "peer_not_trusted");
  cas = stranger.server.authority().certificate;
  auto const remote = remote_with();
  REQUIRE(remote->fetch(stranger.server.url(), "/file", {0, 5}, sink).has_value());
  CHECK(got == "bytes");
  CHECK(shown == 0);
  // The owner's CAs prove no server.
  CHECK_FALSE(Remote::create(identity, {stranger.server.url()}, bench.trusted, system_clock(), {}, [&]() -> Result<std::string> { return cas; })
                  .value()
                  ->get("/file", 1024)
                  .has_value());
}

TEST_CASE("a source that answers without end is cut off, with a refusal as with a file longer than its size") {
  Bench bench;
  int status = 404;
  bench.server.answer("/file", [&](net::Request const&) {
    net::Response response;
    response.status = status;
    response.body = std::string(5'000'000, 'x');
    return response;
  });
  auto const remote = bench.server.remote(bench.trusted);
  std::size_t taken = 0;
  net::BodySink const sink = [&](net::ClientResponse const&, BytesView piece) -> Result<void> {
    taken += piece.size();
    return {};
  };
  auto const refused = remote->fetch({}, "/file", {0, 100'000}, sink);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "body_too_large");
  CHECK(refused.error().kind == Kind::not_found);
  CHECK(taken == 0);
  status = 200;
  auto const longer = remote->fetch({}, "/file", {0, 100'000}, sink);
  REQUIRE_FALSE(longer.has_value());
  CHECK(longer.error().kind == Kind::too_large);
  CHECK(taken <= 100'000);
}

TEST_CASE("what a peer calls its refusal is told, and never taken for a word of the device's own") {
  Bench bench;
  auto const remote = bench.server.remote(bench.trusted);
  for (std::string const code : {"cancelled", "over_budget", "disk_full", "peer_not_trusted", "ineligible", "interrupted", "digest_mismatch"}) {
    CAPTURE(code);
    bench.server.answer("/x", [&](net::Request const&) { return net::json_response(403, R"({"code":")" + code + R"(","detail":"because"})"); });
    auto const got = remote->get("/x", 1024);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == "server_" + code);
    CHECK(in_the_words_of_the_server(got.error()).code == code);
  }
}
