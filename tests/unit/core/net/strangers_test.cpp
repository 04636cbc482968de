#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <vector>

using namespace fleet;
using namespace fleet::net;
using namespace fleet::net::testing;

namespace {

constexpr std::string_view kAsk = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kShow = "GET /known HTTP/1.1\r\nHost: a\r\n\r\n";

ServerLimits with_patience(Millis stranger, Millis idle) {
  ServerLimits limits;
  limits.stranger = stranger;
  limits.idle = idle;
  return limits;
}

/// Whether the session that a first connection ended with is resumed by a second one.
bool resumes(TestServer& server, std::string_view first_request) {
  SslPtr<SSL_SESSION> session;
  {
    RawPeer peer{server};
    peer.send(first_request);
    REQUIRE(!peer.receive_answers(1).empty());
    session = peer.session();
  }
  auto const before = server.server->counters().resumed;
  RawPeer again{server, session.get()};
  again.send(kAsk);
  REQUIRE(!again.receive_answers(1).empty());
  return server.server->counters().resumed == before + 1;
}

}  // namespace

TEST_CASE("a stranger's silence ends soon, that of a peer who is known does not") {
  TestServer server{with_patience(Millis{150}, Millis{60'000})};
  RawPeer silent{server};
  RawPeer asking{server};
  RawPeer known{server};
  asking.send(kAsk);
  known.send(kShow);
  CHECK(!asking.receive_answers(1).empty());
  CHECK(!known.receive_answers(1).empty());
  CHECK(silent.receive().empty());
  CHECK(asking.receive().empty());
  known.send(kAsk);
  CHECK(status_of(known.receive_answers(1)) == 200);
}

TEST_CASE("however many strangers wait without a word, one who is known keeps his connection and the next one comes in") {
  TestServer server{{}, [](ListenerConfig& listener) {
    listener.door = {.connections = 12, .strangers = 8, .strangers_an_address = 4, .connections_an_identity = 3, .settle = Millis{0}};
  }};
  RawPeer known{server};
  known.send(kShow);
  CHECK(status_of(known.receive_answers(1)) == 200);
  std::vector<std::unique_ptr<RawPeer>> crowd;
  for (int i = 0; i < 40; ++i) crowd.push_back(std::make_unique<RawPeer>(server));
  RawPeer next{server};
  next.send(kShow);
  CHECK(status_of(next.receive_answers(1)) == 200);
  known.send(kAsk);
  CHECK(status_of(known.receive_answers(1)) == 200);
  CHECK(crowd.front()->receive().empty());
  CHECK(server.server->counters().open == 5);  // three of the crowd, and the two
  CHECK(server.server->counters().connections_refused == 37);
}

TEST_CASE("sessions of those who are known are kept, and nobody else's") {
  TestServer server;
  CHECK(resumes(server, kShow));
  CHECK(!resumes(server, kAsk));
}

TEST_CASE("a session that resumes one is kept in its place, and its peer is known from the handshake on") {
  TestServer server{with_patience(Millis{150}, Millis{60'000})};
  SslPtr<SSL_SESSION> session;
  for (int i = 0; i < 4; ++i) {
    RawPeer peer{server, session.get()};
    peer.send(i == 0 ? kShow : kAsk);
    CHECK(!peer.receive_answers(1).empty());
    session = peer.session();
  }
  CHECK(server.server->counters().resumed == 3);
  RawPeer silent{server, session.get()};
  RawPeer stranger{server};
  CHECK(stranger.receive().empty());  // its time is over
  silent.send(kAsk);
  CHECK(status_of(silent.receive_answers(1)) == 200);
}

TEST_CASE("whom the program disowns gets that answer, then the connection ends and its session is gone") {
  TestServer server;
  bool revoked = false;
  server.handler->scripts["/me"] = [&](Request&& asked, Responder responder) {
    if (revoked) asked.standing->disown();
    else asked.standing->recognise(asked.peer->key_sha256);
    responder(json_response(revoked ? 401 : 200, "{}"));
  };
  constexpr std::string_view kMe = "GET /me HTTP/1.1\r\nHost: a\r\n\r\n";
  RawPeer peer{server};
  peer.send(kMe);
  CHECK(status_of(peer.receive_answers(1)) == 200);
  auto const session = peer.session();
  revoked = true;
  peer.send(kMe);
  CHECK(status_of(peer.receive()) == 401);
  RawPeer again{server, session.get()};
  again.send(kAsk);
  CHECK(!again.receive_answers(1).empty());
  CHECK(server.server->counters().resumed == 0);
}

TEST_CASE("large bodies that are announced and do not come take the room of strangers only, and only so far") {
  auto limits = with_patience(Millis{60'000}, Millis{60'000});
  limits.stranger_bodies = 1'000'000;
  TestServer server{limits};
  server.handler->limit = 400'000;
  auto const announce = [](std::string_view target, std::size_t size) {
    return fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\nx", target, size);
  };
  RawPeer known{server};
  known.send(kShow);
  CHECK(status_of(known.receive_answers(1)) == 200);
  {
    RawPeer first{server}, second{server};
    first.send(announce("/", 400'000));
    second.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    RawPeer waiting{server};  // its whole header has been seen once it is answered, and so have those before it
    waiting.send(kAsk);
    CHECK(status_of(waiting.receive_answers(1)) == 200);
    RawPeer third{server};
    third.send(announce("/", 400'000));
    CHECK(status_of(third.receive()) == 503);
    RawPeer small{server};
    small.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    CHECK(status_of(small.receive_answers(1)) == 200);
    known.send(announce("/", 400'000) + std::string(399'999, 'y'));
    CHECK(status_of(known.receive_answers(1)) == 200);
  }
  CHECK(eventually([&] { return server.server->counters().open <= 2; }));
  RawPeer later{server};
  later.send(announce("/", 400'000) + std::string(399'999, 'y'));
  CHECK(status_of(later.receive_answers(1)) == 200);
}
