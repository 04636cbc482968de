#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

using namespace fleet;
using namespace fleet::cli::testing;
namespace json = boost::json;

namespace {

constexpr std::string_view kDevice = R"({"id":"cam-1","hardware":"cam-a","labels":{"site":"lab"},"reported":{},"state":"active","online":true,
  "last_seen":"2026-11-20T09:55:00Z","agent":"0.1.0","running":{"reader":"1.0.0","other":null},
  "update":{"model":"reader","version":"2.0.0","state":"probation","rollout":"ro_1","since":"2026-11-20T09:50:00Z","error":null}})";

FakeServer::Script always(std::string_view body) {
  return [text = std::string(body)](Seen const&) {
    auto response = net::json_response(200, text);
    response.headers.push_back({"ETag", "\"7\""});
    return response;
  };
}

}  // namespace

TEST_CASE("a device is shown as a card and as it came") {
  FakeServer const server(always(kDevice));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "get", "cam-1"}) == 0);
  for (auto const* part :
       {"ID:         cam-1", "LAST SEEN:  5m ago", "RUNNING:    reader@1.0.0,other@?", "UPDATE:     reader@2.0.0 probation", "LABELS:     site=lab"})
    CHECK_MESSAGE(bench.console.stdout_text.find(part) != std::string::npos, bench.console.stdout_text);
  CHECK(bench.run({"device", "get", "cam-1", "-o", "json"}) == 0);
  CHECK(json::parse(bench.console.stdout_text) == json::parse(kDevice));
}

TEST_CASE("destructive verbs ask on a terminal and need --yes elsewhere") {
  FakeServer const server(always(kDevice));
  struct Row {
    std::vector<std::string> words;
    std::string_view line;
    std::size_t requests = 1;
  };
  Row const rows[] = {
      {{"device", "retire", "cam-1"}, "POST /api/v1/devices/cam-1:retire"},
      {{"device", "revoke", "cam-1", "--reason", "stolen"}, "POST /api/v1/devices/cam-1:revoke"},
      {{"device", "delete", "cam-1"}, "DELETE /api/v1/devices/cam-1"},
      {{"token", "revoke", "tk_1"}, "DELETE /api/v1/tokens/tk_1"},
      {{"device", "token", "revoke", "dt_1"}, "DELETE /api/v1/device-tokens/dt_1"},
      {{"release", "revoke", "reader@1", "--reason", "bad"}, "POST /api/v1/models/reader/releases/1:revoke", 2},  // which version that is, first
      {{"rollout", "abort", "ro_1"}, "POST /api/v1/rollouts/ro_1:abort"},
      {{"rollout", "rollback", "ro_1"}, "POST /api/v1/rollouts/ro_1:rollback"},
      {{"rollout", "promote", "ro_1", "--full", "--reason", "fix"}, "POST /api/v1/rollouts/ro_1:promote"},
  };
  for (auto const& row : rows) {
    CAPTURE(row.line);
    Bench bench;
    bench.use(server);
    auto const before = server.seen().size();
    CHECK(bench.run(row.words) == 2);
    CHECK(bench.console.stderr_text.find("add --yes") != std::string::npos);
    bench.console.terminal = true;
    for (auto const& no : {std::optional<std::string>("n"), std::optional<std::string>(""), std::optional<std::string>()}) {
      bench.console.answer = no;
      CHECK(bench.run(row.words) == 1);
    }
    CHECK(server.seen().size() == before);
    bench.console.answer = "y";
    CHECK(bench.run(row.words) == 0);
    REQUIRE(server.seen().size() == before + row.requests);
    CHECK(server.seen().back().line == row.line);
    bench.console.terminal = false;
    auto with_yes = row.words;
    with_yes.emplace_back("--yes");
    CHECK(bench.run(with_yes) == 0);
  }
}

TEST_CASE("approving and revoking need a reason, and send it") {
  FakeServer const server(always(kDevice));
  Bench bench;
  bench.use(server);
  for (auto const& words : {std::vector<std::string>{"device", "approve", "cam-1"},
                            {"device", "revoke", "cam-1", "--yes"},
                            {"release", "approve", "m@1"},
                            {"release", "revoke", "m@1", "--yes"},
                            {"rollout", "approve", "ro_1"},
                            {"rollout", "promote", "ro_1", "--full", "--yes"}}) {
    CHECK(bench.run(words) == 2);
    CHECK(bench.console.stderr_text.find("--reason") != std::string::npos);
  }
  CHECK(server.seen().empty());
  CHECK(bench.run({"device", "approve", "cam-1", "--reason", "new board", "--key", std::string(64, 'a'), "--replaces", "cam-0"}) == 0);
  CHECK(json::parse(server.seen().back().body) == json::parse(R"({"key":")" + std::string(64, 'a') + R"(","replaces":"cam-0","reason":"new board"})"));
  CHECK(bench.run({"device", "approve", "cam-1", "--reason", "x", "--key", "short"}) == 2);
}

TEST_CASE("labels are set and removed with the ETag of the device, again when somebody was faster") {
  int lost = 1;
  FakeServer const server([&](Seen const& request) {
    if (request.line.starts_with("PATCH") && lost-- > 0) return problem(412, "precondition", "changed meanwhile");
    return always(kDevice)(request);
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "label", "cam-1", "site=lab", "rack-"}) == 0);
  auto const seen = server.seen();
  REQUIRE(seen.size() == 4);
  CHECK(seen.back().line == "PATCH /api/v1/devices/cam-1");
  CHECK(net::find_header(seen.back().headers, "If-Match") == "\"7\"");
  CHECK(json::parse(seen.back().body) == json::parse(R"({"labels":{"site":"lab","rack":null}})"));
  CHECK(bench.console.stderr_text == "device cam-1 has labels site=lab\n");
  lost = 100;
  CHECK(bench.run({"device", "label", "cam-1", "a=b"}) == 6);
}

TEST_CASE("a selector where none is used is refused rather than ignored") {
  FakeServer const server(always(kDevice));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "revoke", "cam-1", "--reason", "x", "--yes", "-l", "site=lab"}) == 2);
  CHECK(server.seen().empty());
}

TEST_CASE("explain says what is wanted and why, in words and codes") {
  FakeServer const server(always(R"({"device":"cam-1","models":[{"device":"cam-1","model":"reader","wants":"2.0.0","has":null,
    "because":[{"code":"window","text":"waits for its window at 01:00"}]}]})"));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "explain", "cam-1"}) == 0);
  CHECK(bench.console.stdout_text == "reader: has nothing, wants 2.0.0\n  waits for its window at 01:00 (window)\n");
}

TEST_CASE("join tokens are printed one secret a line") {
  FakeServer const server(always(
      R"({"items":[{"id":"dt_1","secret":"fle_a","expires_at":"2026-11-21T10:00:00Z"},{"id":"dt_2","secret":"fle_b","expires_at":"2026-11-21T10:00:00Z"}]})"));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"device", "token", "create", "--count", "2", "--label", "site=lab", "--label", "row=1", "--idempotency-key", "k1"}) == 0);
  CHECK(bench.console.stdout_text == "fle_a\nfle_b\n");
  CHECK(json::parse(server.seen().back().body) == json::parse(R"({"count":2,"expires_in":"24h","labels":{"site":"lab","row":"1"}})"));
  CHECK(net::find_header(server.seen().back().headers, "Idempotency-Key") == "k1");
  CHECK(bench.run({"device", "token", "create", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "dt_1\ndt_2\n");
  CHECK(bench.run({"device", "token", "create", "--count", "0"}) == 2);
  CHECK(bench.run({"device", "token", "create", "--expires", "soon"}) == 2);
}

TEST_CASE("a model is made once; making it again is fine when nothing differs") {
  bool there = false;
  FakeServer const server([&](Seen const& request) {
    if (request.line.starts_with("GET") && !there) return problem(404, "unknown_model", "no model reader");
    there = true;
    return always(R"({"name":"reader","approvals_required":1,"aliases":{"stable":"1.0.0"},"created_at":"2026-11-20T09:00:00Z","signers":{},"demands":[]})")(
        request);
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"model", "create", "reader", "--approvals", "1", "--alias", "stable=1.0.0"}) == 0);
  CHECK(server.seen().back().line == "PUT /api/v1/models/reader");
  CHECK(json::parse(server.seen().back().body) == json::parse(R"({"approvals_required":1,"aliases":{"stable":"1.0.0"},"signers":{},"demands":[]})"));
  CHECK(bench.run({"model", "create", "reader", "--approvals", "1", "--alias", "stable=1.0.0"}) == 0);
  CHECK(bench.run({"model", "create", "reader"}) == 6);
  CHECK(bench.run({"model", "set", "reader", "--alias", "stable-", "--alias", "next=2.0.0"}) == 0);
  CHECK(net::find_header(server.seen().back().headers, "If-Match") == "\"7\"");
  CHECK(json::parse(server.seen().back().body) == json::parse(R"({"approvals_required":1,"aliases":{"next":"2.0.0"},"signers":{},"demands":[],"standing":[]})"));
}
