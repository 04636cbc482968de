#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <future>

using namespace fleet;
using namespace fleet::cli::testing;
namespace json = boost::json;

namespace {

net::Response ok(std::string body, std::string etag = "") {
  auto response = net::json_response(200, std::move(body));
  if (!etag.empty()) response.headers.push_back({"ETag", etag});
  return response;
}

}  // namespace

TEST_CASE("the status of a problem becomes the exit code, its words go to standard error") {
  struct Row {
    int status;
    int exit;
  };
  constexpr auto kRows = std::to_array<Row>(
      {{400, 2}, {401, 4}, {403, 4}, {404, 3}, {409, 6}, {412, 6}, {413, 1}, {422, 1}, {428, 2}, {429, 8}, {500, 1}, {502, 8}, {503, 8}, {504, 7}});
  int status = 0;
  FakeServer const server([&](Seen const&) { return problem(status, "some_code", "what went wrong", "what to do"); });
  Bench bench;
  bench.use(server);
  for (auto const& row : kRows) {
    status = row.status;
    CAPTURE(status);
    CHECK(bench.run({"device", "get", "cam-1"}) == row.exit);
    CHECK(bench.console.stdout_text.empty());
    CHECK(bench.console.stderr_text == "error: what went wrong (some_code)\nhint: what to do\n");
  }
}

TEST_CASE("with -o json an error is the server's problem object on standard error") {
  FakeServer const server([](Seen const&) { return problem(404, "unknown_device", "no device cam-1"); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "get", "cam-1", "-o", "json"}) == 3);
  CHECK(bench.console.stdout_text.empty());
  auto const told = json::parse(bench.console.stderr_text);
  CHECK(told.at("request_id") == "req-7");
  CHECK(told.at("code") == "unknown_device");
  CHECK(bench.run({"device", "revoke", "cam-1", "-o", "json"}) == 2);  // made here: no reason
  CHECK(json::parse(bench.console.stderr_text).at("code") == "reason_required");
}

TEST_CASE("a server that is not there is 8, one with another CA is 4") {
  FakeServer const server([](Seen const&) { return ok("{}"); });
  FakeServer const other([](Seen const&) { return ok("{}"); });
  Bench bench;
  bench.use(server);
  bench.environment["FLEETCTL_SERVER"] = "https://127.0.0.1:1";
  CHECK(bench.run({"device", "list"}) == 8);
  bench.environment["FLEETCTL_SERVER"] = other.url();
  CHECK(bench.run({"device", "list"}) == 4);
  CHECK(other.seen().empty());
  bench.environment["FLEETCTL_SERVER"] = "http://127.0.0.1:1";
  CHECK(bench.run({"device", "list"}) == 2);
}

TEST_CASE("a server that takes a request and says nothing is 7 after --timeout") {
  std::promise<void> given_up;
  auto const release = given_up.get_future().share();
  FakeServer const server([&](Seen const&) {
    release.wait_for(std::chrono::seconds{20});
    return ok(R"({"items":[],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "list", "--timeout", "200ms"}) == 7);
  given_up.set_value();
}

TEST_CASE("an answer that is not JSON is the server's fault") {
  FakeServer const server([](Seen const&) { return net::Response{200, {{"Content-Type", "text/html"}}, std::string("<html>"), false}; });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "list"}) == 1);
  CHECK(bench.run({"device", "get", "x"}) == 1);
}

TEST_CASE("the token goes with each request, and a token file must hold one word") {
  FakeServer const server([](Seen const&) { return ok(R"({"items":[],"next":null})"); });
  Bench bench;
  bench.use(server);
  bench.environment.erase("FLEETCTL_TOKEN");
  auto const file = bench.folder.write("token", "flt_secret\n");
  CHECK(bench.run({"device", "list", "--token-file", file}) == 0);
  CHECK(net::find_header(server.seen().back().headers, "Authorization") == "Bearer flt_secret");
  CHECK(bench.run({"device", "list", "--token-file", bench.folder.write("empty", "\n")}) == 2);
  CHECK(bench.run({"device", "list", "--token-file", bench.folder.write("two", "flt_a\nflt_b\n")}) == 2);
  CHECK(bench.run({"device", "list", "--token-file", bench.folder.path() + "/absent"}) == 3);
}

TEST_CASE("lists follow their cursors to the end or to --limit, in every format") {
  FakeServer const server([](Seen const& request) {
    if (request.line.find("cursor=c%2F2") != std::string::npos) return ok(R"({"items":[{"id":"cam-3","hardware":"cam-a","state":"active"}],"next":null})");
    return ok(R"({"items":[{"id":"cam-1","hardware":"cam-a","state":"active"},{"id":"cam-2","hardware":"cam-a","state":"revoked"}],"next":"c/2"})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "list", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "cam-1\ncam-2\ncam-3\n");
  CHECK(bench.run({"device", "list", "-o", "jsonl", "--limit", "2"}) == 0);
  CHECK(bench.console.stdout_text ==
        "{\"id\":\"cam-1\",\"hardware\":\"cam-a\",\"state\":\"active\"}\n{\"id\":\"cam-2\",\"hardware\":\"cam-a\",\"state\":\"revoked\"}\n");
  CHECK(server.seen().back().line.find("limit=2") != std::string::npos);
  CHECK(bench.run({"device", "list", "-o", "json"}) == 0);
  CHECK(json::parse(bench.console.stdout_text).at("items").as_array().size() == 3);
  CHECK(json::parse(bench.console.stdout_text).at("next").is_null());
  CHECK(bench.run({"device", "list"}) == 0);
  CHECK(bench.console.stdout_text.starts_with("ID     HARDWARE  STATE"));
  CHECK(bench.console.stdout_text.find('\x1b') == std::string::npos);
  for (auto const* wrong : {"0", "-1", "x"}) CHECK(bench.run({"device", "list", "--limit", wrong}) == 2);
}

TEST_CASE("an empty list is nothing on standard output but valid JSON") {
  FakeServer const server([](Seen const&) { return ok(R"({"items":[],"next":null})"); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"model", "list"}) == 0);
  CHECK(bench.console.stdout_text.empty());
  CHECK(bench.console.stderr_text == "no models\n");
  CHECK(bench.run({"model", "list", "-q"}) == 0);
  CHECK(bench.console.stderr_text.empty());
  CHECK(bench.run({"model", "list", "-o", "json"}) == 0);
  CHECK(json::parse(bench.console.stdout_text).at("items").as_array().empty());
}

TEST_CASE("a list that turns in a circle is an error, not an endless one") {
  FakeServer const server([](Seen const&) { return ok(R"({"items":[],"next":"same"})"); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "list"}) == 1);
}

TEST_CASE("a busy server is asked again after its Retry-After, and a POST is the same one by its key") {
  int busy = 2;
  FakeServer const server([&](Seen const&) {
    if (busy-- <= 0) return ok(R"({"items":[],"next":null})");
    auto answer = problem(429, "throttled", "later");
    answer.headers.push_back({"Retry-After", "2"});
    return answer;
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "list"}) == 0);
  CHECK(bench.console.pauses == std::vector<Millis>{seconds{2}, seconds{2}});
  CHECK(bench.console.stderr_text.find("is busy (status 429): asking again\nthe server answers again\n") != std::string::npos);
  busy = 1;
  CHECK(bench.run({"rollout", "start", "ro_1"}) == 0);
  CHECK(bench.console.pauses == std::vector<Millis>{seconds{2}});
  auto const seen = server.seen();
  auto const key = net::find_header(seen.back().headers, "Idempotency-Key");
  CHECK_FALSE(key.empty());
  CHECK(key == net::find_header(seen[seen.size() - 2].headers, "Idempotency-Key"));
  CHECK(bench.run({"rollout", "start", "ro_1"}) == 0);
  CHECK(net::find_header(server.seen().back().headers, "Idempotency-Key") != key);
  busy = 1'000'000;
  CHECK(bench.run({"rollout", "start", "ro_1", "--timeout", "5s"}) == 8);
  CHECK(bench.console.pauses.size() == 2);
}

TEST_CASE("a token that expired is replaced by the one that lies in its file by then") {
  Bench bench;
  FakeServer const server([&](Seen const& request) {
    if (net::find_header(request.headers, "Authorization") == "Bearer flt_new") return ok(R"({"items":[],"next":null})");
    bench.folder.write("token", "flt_new\n");
    return problem(401, "token_expired", "it is over");
  });
  bench.use(server);
  bench.environment.erase("FLEETCTL_TOKEN");
  auto const file = bench.folder.write("token", "flt_old\n");
  CHECK(bench.run({"device", "list", "--token-file", file}) == 0);
  CHECK(server.seen().size() == 2);
  CHECK(bench.run({"device", "list", "--token-file", bench.folder.write("other", "flt_old\n")}) == 4);
  CHECK(server.seen().size() == 3);
}

TEST_CASE("ids and filters are encoded") {
  FakeServer const server([](Seen const&) { return ok(R"({"id":"a:b/c","items":[],"next":null})"); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "get", "a:b/c?x"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/devices/a%3Ab%2Fc%3Fx");
  CHECK(bench.run({"device", "list", "-l", "site in (a,b),k!=v w", "--online", "--running", "m@1+2"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/devices?selector=site%20in%20%28a%2Cb%29%2Ck%21%3Dv%20w&running=m%401%2B2&online=true&limit=500");
}

TEST_CASE("api passes anything on and prints what came") {
  FakeServer const server([](Seen const& request) {
    if (request.line == "GET /metrics") return net::Response{200, {{"Content-Type", "text/plain"}}, std::string("fleet_up 1\n"), false};
    return ok(request.body.empty() ? R"({"a":[1]})" : request.body);
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"api", "get", "/devices?limit=2"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/devices?limit=2");
  CHECK(json::parse(bench.console.stdout_text) == json::parse(R"({"a":[1]})"));
  CHECK(bench.run({"api", "GET", "/metrics"}) == 0);
  CHECK(bench.console.stdout_text == "fleet_up 1\n");
  auto const file = bench.folder.write("body.json", R"({"b":2})");
  CHECK(bench.run({"api", "PATCH", "/api/v1/devices/x", "-d", "@" + file, "-H", "If-Match: \"3\"", "-o", "jsonl"}) == 0);
  CHECK(bench.console.stdout_text == "{\"b\":2}\n");
  CHECK(net::find_header(server.seen().back().headers, "If-Match") == "\"3\"");
  for (auto const& wrong :
       {std::vector<std::string>{"api", "FETCH", "/x"}, {"api", "GET", "devices"}, {"api", "GET", "/a b"}, {"api", "GET", "/x", "-H", "none"}})
    CHECK(bench.run(wrong) == 2);
}

TEST_CASE("doctor tells each check with a hint, and ends with the first that failed") {
  int token_status = 200;
  std::string const me = R"({"name":"ci","role":"publisher"})";
  FakeServer const server([&](Seen const& request) {
    if (request.line.find("auth/status") == std::string::npos) return ok(R"({"status":"ok"})");
    return token_status == 200 ? ok(me) : problem(token_status, "bad_token", "the token expired", "make a new one");
  });
  Bench bench;
  bench.use(server);
  bench.clock.set_wall(system_clock().wall());
  CHECK(bench.run({"doctor", "-o", "jsonl"}) == 0);
  CHECK(bench.console.stdout_text.find("\"fail\"") == std::string::npos);
  CHECK(bench.console.stdout_text.find("role publisher") != std::string::npos);

  bench.clock.set_wall(system_clock().wall() + std::chrono::hours(1));
  CHECK(bench.run({"doctor"}) == 1);
  CHECK(bench.console.stdout_text.find("NTP") != std::string::npos);

  bench.clock.set_wall(system_clock().wall());
  token_status = 401;
  CHECK(bench.run({"doctor"}) == 4);
  CHECK(bench.console.stdout_text.find("make a new one") != std::string::npos);

  bench.environment["FLEETCTL_SERVER"] = "https://127.0.0.1:1";
  CHECK(bench.run({"doctor"}) == 8);
  bench.environment.clear();
  CHECK(bench.run({"doctor"}) == 2);
}
