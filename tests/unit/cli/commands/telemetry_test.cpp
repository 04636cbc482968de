#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::cli::testing;

TEST_CASE("a query names the metric, the release and how to fold; points are a table") {
  FakeServer const server([](Seen const&) {
    return net::json_response(
        200,
        R"({"metric":"accuracy","stat":"mean","series":[{"labels":{"version":"1","hardware":"cam-a"},"points":[["2026-11-20T09:00:00Z",0.97],["2026-11-20T09:05:00Z",0.5]]}]})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run(
            {"telemetry", "query", "accuracy", "--release", "reader@1", "--by", "version,hardware", "--since", "24h", "--step", "5m", "--stat", "mean"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/telemetry/query?metric=accuracy&model=reader&version=1&since=24h&step=5m&stat=mean&by=version%2Chardware");
  CHECK(bench.console.stdout_text ==
        "SERIES                    TIME                  VALUE\n"
        "version=1,hardware=cam-a  2026-11-20T09:00:00Z   0.97\n"
        "version=1,hardware=cam-a  2026-11-20T09:05:00Z    0.5\n");
  CHECK(bench.run({"telemetry", "query", "accuracy", "--since", "yesterday"}) == 2);
  CHECK(bench.run({"telemetry", "query", "accuracy", "-l", "hardware=cam-a"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/telemetry/query?metric=accuracy&selector=hardware%3Dcam-a");
}

TEST_CASE("flagged samples stand beside the points; lines are one a step, also of a step that has no point") {
  FakeServer const server([](Seen const&) {
    return net::json_response(
        200, R"({"metric":"accuracy","stat":"mean","series":[{"labels":{},"points":[["2026-11-20T09:00:00Z",0.97]],"flagged":[["2026-11-20T09:00:00Z",2],["2026-11-20T09:05:00Z",7]]}]})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "query", "accuracy"}) == 0);
  CHECK(bench.console.stdout_text ==
        "SERIES  TIME                  VALUE  FLAGGED\n"
        "all     2026-11-20T09:00:00Z   0.97        2\n"
        "all     2026-11-20T09:05:00Z      -        7\n");
  CHECK(bench.run({"telemetry", "query", "accuracy", "-o", "jsonl"}) == 0);
  CHECK(bench.console.stdout_text.ends_with(R"({"time":"2026-11-20T09:05:00Z","metric":"accuracy","stat":"mean","labels":{},"value":null,"flagged":7})" "\n"));
}

TEST_CASE("labels are shown, and chosen with a reason") {
  FakeServer const server([](Seen const&) { return net::json_response(200, R"({"labels":["region","site"]})"); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "labels"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/telemetry/labels");
  CHECK(bench.console.stdout_text == "region\nsite\n");
  CHECK(bench.run({"telemetry", "labels", "site,region", "--reason", "a report a site"}) == 0);
  CHECK(server.seen().back().line == "PUT /api/v1/telemetry/labels");
  CHECK(server.seen().back().body == R"({"labels":["site","region"],"reason":"a report a site"})");
  CHECK(bench.run({"telemetry", "labels", "--none"}) == 0);
  CHECK(server.seen().back().body == R"({"labels":[]})");
  CHECK(bench.run({"telemetry", "labels", "site", "--none"}) == 2);
}

TEST_CASE("metrics are a table, features what the server says") {
  FakeServer const server([](Seen const& request) {
    if (request.line.find("features") != std::string::npos) return net::Response{200, {{"Content-Type", "application/x-ndjson"}}, std::string("{\"metric\":\"accuracy\"}\n{}\n"), false};
    return net::json_response(200, R"({"items":[{"model":"m","name":"accuracy","type":"distribution","unit":"1","last_seen":"2026-11-20T09:00:00Z"}],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "metrics", "--model", "m", "-o", "name"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/telemetry/metrics?model=m&limit=500");
  CHECK(bench.console.stdout_text == "accuracy\n");
  bench.console.stdout_text.clear();
  CHECK(bench.run({"telemetry", "features", "--release", "m@1", "--metric", "accuracy", "--since", "7d", "--step", "1h", "-l", "site=lab"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/telemetry/features?model=m&version=1&metric=accuracy&since=7d&step=1h&selector=site%3Dlab");
  CHECK(bench.console.stdout_text == "{\"metric\":\"accuracy\"}\n{}\n");
}

TEST_CASE("events are read page after page from the last one seen") {
  FakeServer const server([](Seen const& request) {
    if (request.line == "GET /api/v1/events?after=5")
      return net::json_response(200, R"({"items":[{"id":"6","type":"rollout.started"},{"id":"7","type":"rollout.paused"}],"next":"c"})");
    return net::json_response(200, R"({"items":[{"id":"8","type":"rollout.aborted"}],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "events", "--after", "5", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "6\n7\n8\n");
  CHECK(server.seen().back().line == "GET /api/v1/events?cursor=c");
  CHECK(net::find_header(server.seen().back().headers, "Accept") == "application/json");
  CHECK(bench.run({"telemetry", "events", "--follow"}) == 2);
}

TEST_CASE("following events goes on until the server fails") {
  int asked = 0;
  FakeServer const server([&](Seen const&) {
    if (++asked == 3) return problem(403, "not_permitted", "the token was revoked");
    return net::json_response(200, R"({"items":[{"id":")" + std::to_string(asked) + R"(","type":"t"}],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "events", "--follow", "-o", "name"}) == 4);
  CHECK(bench.console.stdout_text == "1\n2\n");
}

TEST_CASE("following events survives a server that is away, and misses none and repeats none") {
  int asked = 0;
  FakeServer const server([&](Seen const& request) {
    ++asked;
    if (asked == 1) return net::json_response(200, R"({"items":[{"id":"1","type":"t"}],"next":null})");
    if (asked < 30) return net::Response{502, {{"Content-Type", "text/html"}}, std::string("<html>Bad Gateway</html>"), false};
    if (request.line == "GET /api/v1/events?after=1") return net::json_response(200, R"({"items":[{"id":"2","type":"t"}],"next":null})");
    return problem(403, "not_permitted", "the token was revoked");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "events", "--follow", "-o", "name"}) == 4);
  CHECK(bench.console.stdout_text == "1\n2\n");
  CHECK(bench.console.stderr_text.find("the server answers again") != std::string::npos);
}

TEST_CASE("a page of events that the token may not see leads on, and following goes on behind it") {
  FakeServer const server([polls = 0](Seen const& request) mutable {
    if (request.line == "GET /api/v1/events?after=5") return net::json_response(200, R"({"items":[],"next":"p2"})");
    if (request.line == "GET /api/v1/events?after=9") return problem(403, "not_permitted", "the token was revoked");
    if (request.line != "GET /api/v1/events?cursor=p2") return problem(400, "bad_cursor", request.line);
    return net::json_response(200, ++polls == 1 ? R"({"items":[],"next":null})" : R"({"items":[{"id":"9","type":"t"}],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"telemetry", "events", "--after", "5", "--follow", "-o", "name"}) == 4);
  CHECK(bench.console.stdout_text == "9\n");
  CHECK(bench.run({"telemetry", "events", "--after", "5", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "9\n");
}
