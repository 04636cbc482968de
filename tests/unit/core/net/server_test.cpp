#include "tests/unit/core/net/fixture.hpp"

#include "core/base/fs.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>
#include <thread>

using namespace fleet;
using namespace fleet::net;
using namespace fleet::net::testing;

namespace {

/// A name of its own in the folder for temporary files.
std::string scratch_file(std::string_view name) {
  return fmt::format("{}/{}_{}", std::filesystem::temp_directory_path().string(), name, to_unix_ms(system_clock().wall()));
}

std::string request(std::string_view target, std::string_view headers = "") { return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n{}\r\n", target, headers); }

/// Answers from a thread of its own.
ScriptedHandler::Script from_another_thread(std::vector<std::thread>& threads) {
  return [&threads](Request&& asked, Responder responder) {
    threads.emplace_back([text = asked.target, answer = std::move(responder)]() mutable { answer(json_response(200, text)); });
  };
}

ServerLimits hasty() {
  ServerLimits limits;
  limits.header = limits.body = limits.write = limits.idle = limits.stranger = Millis{200};
  return limits;
}

}  // namespace

TEST_CASE("pipelined requests are answered in order, however they are cut, also from other threads") {
  TestServer server;
  std::vector<std::thread> threads;
  server.handler->scripts["/later"] = from_another_thread(threads);
  auto const all = request("/1") + "\r\n" + request("/later?2") +
                   "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n" +
                   "POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour" + request("/5", "Connection: close\r\n");
  std::string first;
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    CAPTURE(cut);
    RawPeer peer{server};
    peer.send(std::string_view{all}.substr(0, cut));
    peer.send(std::string_view{all}.substr(cut));
    auto const answer = peer.receive();
    auto const order = {answer.find("GET /1 "), answer.find("/later?2"), answer.find("POST /3 abcde"), answer.find("POST /4 four"), answer.find("GET /5 ")};
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(*(order.end() - 1) != std::string::npos);
  }
  for (auto& thread : threads) thread.join();
}

TEST_CASE("chunked bodies that come byte by byte are requests like others, the empty one too") {
  TestServer server;
  for (std::string_view const body : {"0\r\n\r\n", "0\r\nX: y\r\n\r\n", "1\r\na\r\n0\r\n\r\n", "0;x=y\r\n\r\n"}) {
    CAPTURE(body);
    RawPeer peer{server};
    peer.send("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (auto const& byte : body) peer.send({&byte, 1});
    CHECK(status_of(peer.receive()) == 200);
  }
}

TEST_CASE("what is over a limit is refused with its own status, and the connection ends") {
  ServerLimits limits;
  limits.header_bytes = 1024;
  TestServer server{limits};
  server.handler->limit = 10;
  struct Case {
    std::string bytes;
    int status;
  };
  for (auto const& row : {Case{request("/", "X: " + std::string(2000, 'x') + "\r\n"), 431}, Case{"GET /" + std::string(5000, 'x'), 431},
                          Case{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413},
                          Case{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", 413},
                          Case{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n", 413},
                          Case{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(3000, 'x'), 400},
                          Case{request("/", "Expect: the worst\r\n"), 417}}) {
    CAPTURE(row.bytes);
    RawPeer peer{server};
    static_cast<void>(peer.try_send(row.bytes));
    auto const answer = peer.receive();
    CHECK(status_of(answer) == row.status);
    CHECK(answer.find("Content-Type: application/problem+json") != std::string::npos);
  }
  CHECK(server.server->counters().requests == 0);
}

TEST_CASE("a client that waits for 100 Continue gets it, unless the body is refused") {
  TestServer server;
  server.handler->limit = 10;
  RawPeer peer{server};
  peer.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  CHECK(peer.receive_until([](auto const& all) { return all.ends_with("\r\n\r\n"); }) == "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("ok");
  CHECK(status_of(peer.receive_answers(1)) == 200);
  peer.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  CHECK(status_of(peer.receive()) == 413);
}

TEST_CASE("slow peers meet their deadlines") {
  TestServer server{hasty()};
  struct Case {
    std::string_view what, bytes;
    int status;  // 0: closed without a word
  };
  for (auto const& row : {Case{"says nothing", "", 0}, Case{"half a header", "GET / HTTP/1.1\r\nHo", 408},
                          Case{"half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", 408},
                          Case{"half a chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408}}) {
    CAPTURE(row.what);
    RawPeer peer{server};
    if (!row.bytes.empty()) peer.send(row.bytes);
    CHECK(status_of(peer.receive()) == row.status);
  }
  CHECK(server.server->counters().timed_out >= 4);
}

TEST_CASE("a header that trickles in does not move its deadline") {
  TestServer server{hasty()};
  RawPeer peer{server};
  CHECK(eventually([&] { return !peer.try_send("x"); }));
}

TEST_CASE("a peer that does not read its answer is let go") {
  TestServer server{hasty()};
  server.handler->scripts["/huge"] = [](Request&&, Responder responder) { responder(json_response(200, std::string(64 << 20, 'x'))); };
  RawPeer peer{server};
  peer.send(request("/huge"));
  CHECK(eventually([&] { return server.server->counters().open == 0; }));
  CHECK(server.server->counters().timed_out == 1);
}

TEST_CASE("a parked request notices that its peer has gone") {
  TestServer server;
  RawPeer peer{server};
  peer.send(request("/park"));
  server.handler->await_parked(1);
  CHECK(server.handler->parked_alive());
  peer.hang_up();
  CHECK(eventually([&] { return !server.handler->parked_alive(); }));
  server.handler->take_parked()(json_response(200, "{}"));
  CHECK(eventually([&] { return server.server->counters().open == 0; }));
}

TEST_CASE("a peer that shut down its half still gets an answer that comes soon") {
  TestServer server;
  RawPeer peer{server};
  peer.send(request("/park"));
  server.handler->await_parked(1);
  peer.half_close();
  CHECK(eventually([&] { return !server.handler->parked_alive(); }));
  server.handler->take_parked()(json_response(200, "late"));
  CHECK(peer.receive().ends_with("late"));
}

TEST_CASE("what comes while an answer is pending waits, and too much of it waits in the socket") {
  TestServer server;
  RawPeer peer{server};
  std::string many;
  for (int i = 0; i < 1000; ++i) many += request(fmt::format("/{}", i));
  peer.send(request("/park"));
  server.handler->await_parked(1);
  peer.send(many);
  server.handler->take_parked()(json_response(200, "parked"));
  auto const answers = peer.receive_answers(1001);
  CHECK(answers.find("parked") < answers.find("GET /0 "));
  CHECK(answers.find("GET /998 ") < answers.find("GET /999 "));
}

TEST_CASE("a connection that breaks inside a body reaches no handler and leaves nothing behind") {
  TestServer server;
  {
    RawPeer peer{server};
    peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    peer.hang_up();
  }
  CHECK(eventually([&] { return server.server->counters().accepted == 1 && server.server->counters().open == 0; }));
  CHECK(server.server->counters().requests == 0);
}

TEST_CASE("an answer that is dropped is 503, a handler that throws is 500, a bad header of ours is 500") {
  TestServer server;
  server.handler->scripts["/drop"] = [](Request&&, Responder) {};
  server.handler->scripts["/throw"] = [](Request&&, Responder) { throw std::runtime_error{"bug"}; };
  server.handler->scripts["/split"] = [](Request&&, Responder responder) { responder({200, {{"A", "b\r\nSet-Cookie: c"}}, std::string{}, false}); };
  auto client = make_client();
  CHECK(client.send(get(server.url("/drop"))).value().status == 503);
  CHECK(client.send(get(server.url("/throw"))).value().status == 500);
  CHECK(client.send(get(server.url("/split"))).value().status == 500);
}

TEST_CASE("HTTP/1.0 and Connection: close end the connection after the answer") {
  TestServer server;
  for (std::string_view const bytes :
       {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"}) {
    CAPTURE(bytes);
    RawPeer peer{server};
    peer.send(bytes);
    auto const answer = peer.receive();
    CHECK(status_of(answer) == 200);
    CHECK(answer.find("Connection: close\r\n") != std::string::npos);
  }
}

TEST_CASE("ten clients at once over two threads each get their own answers") {
  TestServer server{{}, 2};
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  for (int c = 0; c < 10; ++c)
    clients.emplace_back([&server, &right, c] {
      auto client = Client::create(device_config(), system_clock());
      for (int i = 0; client && i < 100; ++i) {
        auto const body = fmt::format("client {} request {} {}", c, i, std::string(static_cast<std::size_t>(i * 600), 'x'));
        auto const answer = client->send(post(server.url("/e"), body));
        if (answer && answer->body == "POST /e " + body) ++right;
      }
    });
  for (auto& client : clients) client.join();
  CHECK(right == 1000);
  CHECK(server.server->counters().requests == 1000);
}

TEST_CASE("files are sent whole or in part, and not for HEAD") {
  auto& fs = system_fs();
  auto const path = scratch_file("net_test_file");
  std::string content;
  for (int i = 0; content.size() < 3'000'000; ++i) content += fmt::format("{},", i);
  REQUIRE(fs.replace(path, content).has_value());
  TestServer server;
  FileBody body{path, 0, content.size()};
  server.handler->scripts["/file"] = [&](Request&&, Responder responder) { responder({200, {}, body, false}); };
  auto client = make_client();
  CHECK(client.send(get(server.url("/file"))).value().body == content);
  for (auto const& [offset, length] : {std::pair{5UL, 10UL}, {0UL, 1UL}, {1'000'000UL, 70'000UL}, {content.size() - 1, 1UL}, {content.size(), 0UL}}) {
    body = {path, offset, length};
    CHECK(client.send(get(server.url("/file"))).value().body == content.substr(offset, length));
  }
  body = {path, 1, 2'000'000};
  auto head = get(server.url("/file"));
  head.method = Method::head;
  auto const told = client.send(head).value();
  CHECK(told.header("Content-Length") == "2000000");
  CHECK(told.body.empty());
  body = {path, 1, content.size()};
  CHECK(client.send(get(server.url("/file"))).value().status == 500);
  body = {path + ".missing", 0, 1};
  CHECK(client.send(get(server.url("/file"))).value().status == 500);
  REQUIRE(fs.remove(path).has_value());
}

/// Bytes from a thread of its own, a piece at a time, until `fails_at`.
struct ThreadedSource final : Source {
  std::string content;
  std::uint64_t fails_at = ~std::uint64_t{0};
  std::size_t most_seen = 0;
  std::vector<std::thread> threads;
  ~ThreadedSource() override {
    for (auto& thread : threads) thread.join();
  }
  void read(std::uint64_t offset, std::size_t most, Done done) override {
    most_seen = std::max(most_seen, most);
    if (offset == 0) return done(fails_at == 0 ? Result<std::string>(Error{Kind::unavailable, "blobs_throttled", "slower"}) : content.substr(0, most));
    threads.emplace_back([this, offset, most, done] {
      done(offset >= fails_at ? Result<std::string>(Error{Kind::unavailable, "blobs_cut", "gone"}) : content.substr(offset, std::min<std::size_t>(most, 100'000)));
    });
  }
};

TEST_CASE("what is brought while it leaves arrives whole or in part, or ends the connection") {
  for (bool const plain : {false, true}) {
    CAPTURE(plain);
    auto const source = std::make_shared<ThreadedSource>();
    for (int i = 0; source->content.size() < 3'000'000; ++i) source->content += fmt::format("{},", i);
    TestServer server({.egress = 50'000'000}, [&](ListenerConfig& listener) { listener.plain = plain; });
    auto const alive = std::make_shared<int>(0);
    StreamBody body{source, 0, source->content.size(), alive};
    server.handler->scripts["/s"] = [&](Request&&, Responder responder) { responder({200, {}, body, false}); };
    auto config = trusting_config();
    config.allow_plain_http = plain;
    auto client = make_client(config);
    auto const url = fmt::format("{}://127.0.0.1:{}/s", plain ? "http" : "https", server.server->port(0));
    CHECK(client.send(get(url)).value().body == source->content);
    for (auto const& [offset, length] : {std::pair{5UL, 10UL}, {1'000'000UL, 700'000UL}, {source->content.size(), 0UL}}) {
      body = {source, offset, length, alive};
      CHECK(client.send(get(url)).value().body == source->content.substr(offset, length));
    }
    CHECK(source->most_seen <= 256 * 1024);
    auto head = get(url);
    head.method = Method::head;
    body = {source, 0, 2'000'000, alive};
    CHECK(client.send(head).value().header("Content-Length") == "2000000");
    source->fails_at = 0;
    auto const refused = client.send(get(url)).value();
    CHECK(refused.status == 503);
    CHECK(refused.body.find("blobs_throttled") != std::string::npos);
    source->fails_at = 1'000'000;
    CHECK_FALSE(client.send(get(url)).has_value());
    CHECK(eventually([&] { return alive.use_count() == 2; }));  // this one's, and the body's
  }
}

TEST_CASE("without TLS files go as they are, whole or in part, and a file that ends early ends the connection") {
  auto& fs = system_fs();
  auto const path = scratch_file("net_test_plain");
  std::string content;
  for (int i = 0; content.size() < 3'000'000; ++i) content += fmt::format("{},", i);
  REQUIRE(fs.replace(path, content).has_value());
  TestServer server({}, [](ListenerConfig& listener) { listener.plain = true; });
  FileBody body{path, 0, content.size()};
  auto const alive = std::make_shared<int>(0);
  server.handler->scripts["/file"] = [&](Request&&, Responder responder) {
    auto sent = body;
    sent.held = alive;
    responder({200, {}, std::move(sent), false});
  };
  auto config = trusting_config();
  config.allow_plain_http = true;
  auto client = make_client(config);
  auto const url = fmt::format("http://127.0.0.1:{}/file", server.server->port(0));
  CHECK(client.send(get(url)).value().body == content);
  body = {path, 1'000'000, 70'000};
  CHECK(client.send(get(url)).value().body == content.substr(1'000'000, 70'000));
  CHECK_MESSAGE(eventually([&] { return alive.use_count() == 1; }), "what an answer held is let go of with it");
  CHECK(server.server->counters().file_bytes == content.size() + 70'000);
  constexpr std::uint64_t kLarge = 64 << 20;  // more than sockets hold
  auto const file = fs.open(path, Fs::Mode::append_or_create).value();
  REQUIRE(file->truncate(kLarge).has_value());
  body = {path, 0, kLarge};
  auto cut = get(url);
  cut.body_limit = kLarge;
  auto const got = client.send(cut, [&](ClientResponse const&, BytesView) -> Result<void> {
    return file->truncate(1'000);
  });
  CHECK_FALSE(got.has_value());
  CHECK(eventually([&] { return alive.use_count() == 1; }));
  REQUIRE(fs.remove(path).has_value());
}

TEST_CASE("files leave within the bound, all of them, by TLS and without") {
  auto& fs = system_fs();
  auto const path = scratch_file("net_test_bound");
  std::string content;
  for (int i = 0; content.size() < 500'000; ++i) content += fmt::format("{},", i);
  REQUIRE(fs.replace(path, content).has_value());
  for (bool const plain : {false, true}) {
    CAPTURE(plain);
    TestServer server({.egress = 1'000'000}, [&](ListenerConfig& listener) { listener.plain = plain; });
    server.handler->scripts["/file"] = [&](Request&&, Responder responder) { responder({200, {}, FileBody{path, 0, content.size()}, false}); };
    server.handler->scripts["/word"] = [&](Request&&, Responder responder) { responder({200, {}, std::string("word"), false}); };
    auto const url = [&](std::string_view target) { return fmt::format("{}://127.0.0.1:{}{}", plain ? "http" : "https", server.server->port(0), target); };
    auto config = trusting_config();
    config.allow_plain_http = plain;
    std::atomic<int> right{0};
    std::vector<std::thread> readers;
    auto const began = system_clock().mono();
    for (int i = 0; i < 3; ++i)
      readers.emplace_back([&] {
        auto client = make_client(config);
        if (auto const got = client.send(get(url("/file"))); got && got->body == content) ++right;
      });
    CHECK(eventually([&] { return server.server->counters().egress_waiting > 0; }));
    CHECK_MESSAGE(make_client(config).send(get(url("/word"))).value().body == "word", "what is no file waits for nothing");
    for (auto& reader : readers) reader.join();
    CHECK(right == 3);
    CHECK_MESSAGE(system_clock().mono() - began >= Millis{900}, "1.5 MB by 1 MB/s, of which a quarter of a second and a quantum may come at once");
  }
  {
    TestServer server({.egress = 1'000}, [&](ListenerConfig& listener) { listener.plain = true; });
    server.handler->scripts["/file"] = [&](Request&&, Responder responder) { responder({200, {}, FileBody{path, 0, content.size()}, false}); };
    auto config = trusting_config();
    config.allow_plain_http = true;
    auto client = make_client(config);
    std::thread reader([&] { CHECK_FALSE(client.send(get(fmt::format("http://127.0.0.1:{}/file", server.server->port(0)))).has_value()); });
    CHECK(eventually([&] { return server.server->counters().egress_waiting > 0; }));
    client.cancel();
    reader.join();
  }
  REQUIRE(fs.remove(path).has_value());
}

TEST_CASE("a resumed session still shows the device's key") {
  TestServer server;
  Digest seen{};
  server.handler->scripts["/who"] = [&](Request&& asked, Responder responder) {
    if (asked.peer->has_certificate) asked.standing->recognise(asked.peer->key_sha256);
    seen = asked.peer->has_certificate ? asked.peer->key_sha256 : Digest{};
    responder({200, {}, asked.peer->common_name, true});
  };
  auto const expected = crypto::inspect_certificate(Pki::get().device.certificate).value();
  auto client = make_client(device_config());
  for (int i = 0; i < 3; ++i) {
    seen = {};
    CHECK(client.send(get(server.url("/who"))).value().body == "device-1");
    CHECK(seen == expected.key_sha256);
  }
  CHECK(server.server->counters().resumed == 2);
  auto stranger = make_client();
  CHECK(stranger.send(get(server.url("/who"))).value().body.empty());
  CHECK(seen == Digest{});
}

TEST_CASE("a peer that hung up without a word resumes its session") {
  TestServer server;
  SslPtr<SSL_SESSION> session;
  for (int i = 0; i < 3; ++i) {
    RawPeer peer{server, session.get()};
    peer.send("GET /known HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_FALSE(peer.receive_answers(1).empty());
    session = peer.session();
    peer.hang_up();
    CHECK(eventually([&] { return server.server->counters().open == 0; }));
  }
  CHECK(server.server->counters().resumed == 2);
}
