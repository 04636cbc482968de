#include "core/net/gate.hpp"
#include "core/net/request_parser.hpp"
#include "tests/unit/core/net/fixture.hpp"
#include "tests/unit/core/net/smuggling.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::net;
using namespace fleet::net::testing;

TEST_CASE("the gate refuses what another server might read otherwise") {
  for (auto const& row : kSmuggling) {
    CAPTURE(row.what);
    auto const end = find_head_end(row.bytes, 0);
    if (end.state == HeadEnd::State::refused) continue;
    REQUIRE(end.state == HeadEnd::State::complete);
    RequestParser parser{16 * 1024};
    auto const facts = parser.feed_head(row.bytes.substr(0, end.size));
    if (!facts) {
      CHECK(facts.error().kind == Kind::bad_input);
      continue;
    }
    // Only the framing of a body is left to judge.
    REQUIRE(facts->chunked);
    REQUIRE(parser.set_body_limit(1000).has_value());
    auto const body = parser.feed_body(row.bytes.substr(end.size));
    REQUIRE(!body);
    CHECK(body.error().kind == Kind::bad_input);
  }
}

TEST_CASE("the gate lets ordinary requests through") {
  for (std::string_view const head :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "POST /x?y=%20 HTTP/1.1\r\nHost: [::1]:8443\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHOST:a\r\ntransfer-encoding:\t chunked \r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xbc\r\nEmpty:\r\n\r\n",
        "GET https://[::1]:8443/x HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    CAPTURE(head);
    CHECK(find_head_end(head, 0).size == head.size());
    auto const facts = check_head(head);
    CHECK_MESSAGE(facts.has_value(), (facts ? "" : facts.error().detail));
  }
}

TEST_CASE("the end of a header block is found wherever it is cut") {
  std::string_view const head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t cut = 0; cut < head.size(); ++cut) {
    auto const first = find_head_end(head.substr(0, cut), 0);
    REQUIRE(first.state == HeadEnd::State::incomplete);
    auto const whole = find_head_end(head, first.size);
    CHECK(whole.state == HeadEnd::State::complete);
    CHECK(whole.size == head.size());
  }
}

TEST_CASE("a request's path and query stay valid when it is moved") {
  RequestParser parser{1024};
  REQUIRE(parser.feed_head("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n").has_value());
  Request first = std::move(parser.request());
  std::vector<Request> moved;
  moved.push_back(std::move(first));
  moved.reserve(100);
  CHECK(moved.front().path == "/a");
  CHECK(moved.front().query == "b");
}

TEST_CASE("a target in absolute-form is read as its path and query") {
  for (auto const& [target, path, query] : std::to_array<std::array<std::string_view, 3>>({{"http://b/x?y", "/x", "y"},
                                                                                           {"HTTPS://b:1/x/z", "/x/z", ""},
                                                                                           {"https://b", "/", ""},
                                                                                           {"https://b?y=http://c/", "/", "y=http://c/"},
                                                                                           {"/http://b/", "/http://b/", ""}})) {
    CAPTURE(target);
    RequestParser parser{1024};
    REQUIRE(parser.feed_head("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n").has_value());
    CHECK(parser.request().path == path);
    CHECK(parser.request().query == query);
  }
}

TEST_CASE("trailers after a chunked body change nothing") {
  RequestParser parser{1024};
  REQUIRE(parser.feed_head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").has_value());
  REQUIRE(parser.set_body_limit(100).has_value());
  std::string_view const body = "3\r\nabc\r\n0\r\nAuthorization: x\r\n\r\n";
  CHECK(parser.feed_body(body).value() == body.size());
  CHECK(parser.is_done());
  CHECK(parser.request().body == "abc");
  CHECK(parser.request().header("Authorization").empty());
}

TEST_CASE("every split of a smuggling attempt meets 400 and the end, and reaches no handler") {
  TestServer server;
  int handled = 0;
  server.handler->scripts["/"] = [&](Request&&, Responder responder) {
    ++handled;
    responder(json_response(200, "{}"));
  };
  SslPtr<SSL_SESSION> session;
  for (auto const& row : kSmuggling) {
    for (std::size_t cut = 1; cut < row.bytes.size(); ++cut) {
      CAPTURE(row.what);
      CAPTURE(cut);
      RawPeer peer{server, session.get()};
      peer.send(row.bytes.substr(0, cut));
      // The server may have judged already.
      static_cast<void>(peer.try_send(row.bytes.substr(cut)));
      auto const answer = peer.receive();
      CHECK(status_of(answer) == 400);
      CHECK(count_of(answer, "Content-Length: ") == 1);
      CHECK(answer.find("Connection: close\r\n") != std::string::npos);
      session = peer.session();
    }
  }
  CHECK(handled == 0);
}
