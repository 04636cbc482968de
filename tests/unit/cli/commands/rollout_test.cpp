#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <array>

using namespace fleet;
using namespace fleet::cli::testing;
namespace json = boost::json;

namespace {

std::string rollout(std::string_view state, int stage = 1, int healthy = 0) {
  return fmt::format(R"({{"id":"ro_1","model":"reader","version":"2.0.0","selector":"","state":"{}","policy":{{"stages":[{{"percent":10}},{{"percent":100}}]}},
    "stage":{{"index":{},"of":2,"percent":10,"state":"dispatching","deadline":null}},"counts":{{"targeted":40,"exposed":{},"healthy":{},"failed":0}},
    "verdict":{{"decision":"hold","reason":"too early","gates":[]}}}})",
                     state, stage, healthy, healthy);
}

/// Answers one after the other, the last for ever; an empty one is the 503 of a server that ends.
FakeServer::Script in_turn(std::vector<std::string> answers) {
  auto const at = std::make_shared<std::size_t>(0);
  return [answers = std::move(answers), at](Seen const&) {
    auto const& body = answers[std::min(*at, answers.size() - 1)];
    ++*at;
    if (!body.empty()) return net::json_response(200, body);
    auto draining = problem(503, "draining", "restarting");
    draining.headers.push_back({"Retry-After", "5"});
    return draining;
  };
}

}  // namespace

TEST_CASE("watch and wait end with the rollout, and their exit codes say how") {
  struct Row {
    std::vector<std::string> words;
    std::vector<std::string> answers;
    int exit;
  };
  auto const running = rollout("running");
  Row const rows[] = {
      {{"rollout", "watch", "ro_1"}, {running, rollout("completed")}, 0},
      {{"rollout", "watch", "ro_1"}, {running, rollout("rolling_back"), rollout("rolled_back")}, 5},
      {{"rollout", "watch", "ro_1"}, {running, rollout("aborted")}, 5},
      {{"rollout", "watch", "ro_1"}, {running, rollout("paused"), running, rollout("completed")}, 0},
      {{"rollout", "watch", "ro_1", "--fail-on-pause"}, {running, rollout("paused")}, 9},
      {{"rollout", "watch", "ro_1", "--fail-on-pause"}, {rollout("awaiting_approval")}, 9},
      {{"rollout", "watch", "ro_1"}, {running, "", "", rollout("completed")}, 0},
      {{"rollout", "watch", "ro_1"}, {""}, 8},
      {{"rollout", "wait", "ro_1"}, {running, rollout("completed")}, 0},
      {{"rollout", "wait", "ro_1"}, {running, rollout("rolled_back")}, 5},
      {{"rollout", "wait", "ro_1", "--for", "stage=1"}, {running, rollout("running", 2)}, 0},
      {{"rollout", "wait", "ro_1", "--for", "stage=2"}, {rollout("running", 2), rollout("completed", 2)}, 0},
      {{"rollout", "wait", "ro_1", "--for", "paused"}, {running, rollout("paused")}, 0},
      {{"rollout", "wait", "ro_1", "--for", "rolled_back"}, {running, rollout("rolled_back")}, 0},
      {{"rollout", "wait", "ro_1", "--for", "paused"}, {running, rollout("completed")}, 1},
      {{"rollout", "wait", "ro_1", "--timeout", "10s"}, {running}, 7},
      {{"rollout", "wait", "ro_1", "--fail-on-pause"}, {rollout("paused")}, 9},
      {{"rollout", "wait", "ro_1", "--for", "done"}, {running}, 2},
      {{"rollout", "wait", "ro_1", "--for", "stage=0"}, {running}, 2},
      {{"rollout", "wait", "ro_1", "--timeout", "soon"}, {running}, 2},
  };
  for (auto const& row : rows) {
    CAPTURE(row.words);
    CAPTURE(row.answers.back().substr(0, 90));
    FakeServer const server(in_turn(row.answers));
    Bench bench;
    bench.use(server);
    CHECK(bench.run(row.words) == row.exit);
    for (auto const& request : server.seen()) CHECK(request.line.starts_with("GET /api/v1/rollouts/ro_1"));
  }
}

TEST_CASE("an end that is no good one names the devices that failed, their codes and the last lines of their programs") {
  auto ended = json::parse(rollout("rolled_back"));
  ended.at("counts").as_object()["failed"] = 7;
  ended.at("verdict").as_object()["reason"] = "failures: 7 of 8 failed: golden_mismatch";
  auto const devices = R"({"items":[{"device":"cam-1","state":"reverted","outcome":"failed","error":{"code":"golden_mismatch","text":"line 3 differs",
    "output":"one\ntwo\nthree\nfour\nfive\nsix \u001b[31m\n"}}],"next":null})";
  for (auto const* verb : {"get", "wait", "watch"}) {
    CAPTURE(verb);
    FakeServer const server(in_turn({json::serialize(ended), devices}));
    Bench bench;
    bench.use(server);
    CHECK(bench.run({"rollout", verb, "ro_1"}) == (std::string_view(verb) == "get" ? 0 : 5));
    auto const told = bench.console.stdout_text + bench.console.stderr_text;
    CHECK(told.find("failures: 7 of 8 failed: golden_mismatch") != std::string::npos);
    CHECK(told.find("cam-1 failed: golden_mismatch: line 3 differs\n  | two\n") != std::string::npos);
    CHECK(told.find("all of them: fleetctl rollout devices ro_1 --state failed") != std::string::npos);
    CHECK(told.find('\x1b') == std::string::npos);
    CHECK(server.seen().back().line == "GET /api/v1/rollouts/ro_1/devices?state=failed&limit=5");
  }
}

TEST_CASE("without a terminal watch writes a line a change") {
  FakeServer const server(in_turn({rollout("running", 1, 1), rollout("running", 1, 2), rollout("running", 2, 3), rollout("completed", 2, 40)}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "watch", "ro_1"}) == 0);
  CHECK(std::count(bench.console.stdout_text.begin(), bench.console.stdout_text.end(), '\n') == 3);
  CHECK(bench.console.stdout_text.starts_with("2026-11-20T10:00:00Z ro_1 reader@2.0.0 running stage=1/2 dispatching targeted=40"));
  CHECK(bench.console.stdout_text.find('\x1b') == std::string::npos);
}

TEST_CASE("on a terminal watch redraws in place, with -o jsonl it writes an object a change") {
  FakeServer const server(in_turn({rollout("running", 1, 1), rollout("running", 1, 1), rollout("completed", 2, 40)}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "watch", "ro_1", "-o", "jsonl"}) == 0);
  CHECK(std::count(bench.console.stdout_text.begin(), bench.console.stdout_text.end(), '\n') == 2);
  bench.console.terminal = true;
  FakeServer const again(in_turn({rollout("running", 1, 1), rollout("completed", 2, 40)}));
  bench.use(again);
  CHECK(bench.run({"rollout", "watch", "ro_1"}) == 0);
  CHECK(bench.console.stdout_text.find("\x1b[5F\x1b[J") != std::string::npos);
  CHECK(bench.run({"rollout", "watch", "ro_1", "--no-progress"}) == 0);
  CHECK(bench.console.stdout_text.find("\x1b[J") == std::string::npos);
}

TEST_CASE("watch gives up on a server that stays away") {
  FakeServer const server(in_turn({rollout("running"), ""}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "watch", "ro_1"}) == 8);
  CHECK(bench.console.pauses.size() < 200);
}

TEST_CASE("a rollout is created from a release, devices and a policy") {
  FakeServer const server(in_turn({rollout("draft")}));
  Bench bench;
  bench.use(server);
  auto const policy = bench.folder.write("policy.yaml", "stages:\n  - {percent: 5, bake: 30m}\n  - {percent: 100}\non_harm: rollback\n");
  CHECK(bench.run({"rollout", "create", "--release", "reader@2.0.0", "-l", "site=lab", "--policy", policy, "--start", "--after", "ro_0", "--reason", "why",
                   "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "ro_1\n");
  CHECK(json::parse(server.seen().back().body) ==
        json::parse(
            R"({"model":"reader","version":"2.0.0","selector":"site=lab","policy":{"stages":[{"percent":5,"bake":"30m"},{"percent":100}],"on_harm":"rollback"},
                        "after":"ro_0","reason":"why","start":true})"));
  CHECK(bench.run({"rollout", "create", "--release", "reader@2.0.0", "--all", "--policy", "small-fleet"}) == 0);
  CHECK(json::parse(server.seen().back().body).at("policy") == "small-fleet");
  CHECK(json::parse(server.seen().back().body).at("selector") == "");
}

TEST_CASE("a rollout without devices, with both, or with a policy that is not there, is refused here") {
  FakeServer const server(in_turn({rollout("draft")}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "create", "--release", "reader@2", "--policy", "fast"}) == 2);
  CHECK(bench.run({"rollout", "create", "--release", "reader@2", "--policy", "fast", "--all", "-l", "a=b"}) == 2);
  CHECK(bench.run({"rollout", "plan", "--release", "reader", "--policy", "fast", "--all"}) == 2);
  CHECK(bench.run({"rollout", "plan", "--release", "reader@2", "--policy", "fats", "--all"}) == 3);
  CHECK(bench.console.stderr_text.find("small-fleet") != std::string::npos);
  CHECK(bench.run({"rollout", "plan", "--release", "reader@2", "--policy", bench.folder.write("p.yaml", "stages: [\n"), "--all"}) == 2);
  CHECK(server.seen().empty());
}

TEST_CASE("a plan is told in words") {
  FakeServer const server(in_turn({R"({"release":"reader@2.0.0","selector":"","targeted":40,"stages":[{"index":1,"percent":10,"devices":4,"cap":30,"window":2,"controls":18,
    "strata":[{"stratum":"cam-a","devices":2},{"stratum":"cam-b","devices":2}],"detects":["harm gate accuracy: trips at 2 of 4 bad devices"],
    "certifies":"fewer than 60 % bad after 4 healthy devices"}],"conflicts":[{"rollout":"ro_0","state":"running","devices":3}],"warnings":["no holdback"],"ineligible":1})"}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "plan", "--release", "reader@2.0.0", "--all", "--policy", "standard"}) == 0);
  CHECK(bench.console.stdout_text ==
        "reader@2.0.0 on all devices: 40 devices, 1 more not eligible\n"
        "STAGE    DEVICES  AT MOST  WINDOW  CONTROLS  OF\n"
        "1 (10%)        4       30       2        18  cam-a 2, cam-b 2\n"
        "stage 1\n"
        "  detects: harm gate accuracy: trips at 2 of 4 bad devices\n"
        "  passes on: fewer than 60 % bad after 4 healthy devices\n"
        "conflict: rollout ro_0 (running) covers 3 of them\n"
        "warning: no holdback\n");
}

TEST_CASE("a plan says how many bytes reach whom, and how long that takes over a link") {
  auto const plan = R"({"release":"reader@2.0.0","selector":"","targeted":40,"ineligible":0,"stages":[],"conflicts":[],"warnings":[],"delivery":{"bytes":41943040,"as_it_is_bytes":2097152000,
    "largest_bytes":52428800,"money":{"egress":3.7,"total":3.7,"currency":"EUR"},"devices":[{"model":"reader","hardware":"cam-a","from":"1.0.0","devices":38,"kind":"tensor_delta","bytes":1048576},
    {"model":"reader","hardware":"cam-a","from":null,"devices":2,"kind":"as_it_is","bytes":52428800}]}})";
  FakeServer const server([&](Seen const&) { return net::json_response(200, plan); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "plan", "--release", "reader@2.0.0", "--all", "--policy", "standard", "--uplink", "1Mbit/s"}) == 0);
  auto const& text = bench.console.stdout_text;
  CHECK(text.find("delivery: 40.0 MiB in all; as they are 2.0 GiB\n") != std::string::npos);
  CHECK(text.find("  38 x cam-a reader from 1.0.0: tensor_delta, 1.0 MiB each\n") != std::string::npos);
  CHECK(text.find("  2 x cam-a reader: as_it_is, 50.0 MiB each\n") != std::string::npos);
  CHECK(text.find("  egress: 3.70 EUR\n") != std::string::npos);
  CHECK(text.find("  at 1Mbit/s: 6 min where all share it, 7 min at most for a device that has it for itself\n") != std::string::npos);
  CHECK(bench.run({"rollout", "plan", "--release", "reader@2.0.0", "--all", "--policy", "standard", "--uplink", "fast"}) == 2);
}

TEST_CASE("an explanation is in words, canaries beside controls; its numbers are for who asks") {
  FakeServer const server(in_turn({R"({"rollout":"ro_1","state":"running","text":"reader@2.0.0 is running, stage 1 of 2: 4 devices were told, 4 switched, 3 healthy, 1 failed.",
    "stages":[{"index":1,"percent":33.333333333333336,"devices":4,"state":"dispatching"}],"window":{"number":3,"state":"open","canaries":6,"controls":18},
    "arms":{"windows":2,"storms":1,"canary":{"judged":4,"failed":1,"silent":0,"left":0},"control":{"judged":36,"failed":4,"silent":0,"left":1}},
    "gates":[{"name":"failures","test":"harm","decision":"hold","text":"failures: 1 of 4 canaries failed, 4 of 36 controls did; no sign that the release is worse","e_value":1.25,"threshold":333.3,
      "evidence":{"bad":1,"control_bad":4}}],"strata":[{"stratum":"cam-b","quarantined":true},{"stratum":"cam-a","quarantined":false}],"failures":[],"blocked_by":[],"history":[]})"}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "explain", "ro_1"}) == 0);
  CHECK(bench.console.stdout_text ==
        "ro_1: running\n"
        "reader@2.0.0 is running, stage 1 of 2: 4 devices were told, 4 switched, 3 healthy, 1 failed.\n"
        "stage 1 (33.33%, 4 devices): dispatching\n"
        "window 3 is open: 6 canaries in all, beside 18 controls\n"
        "2 windows were judged, 1 of them storms: their failures are not shown\n"
        "         JUDGED  FAILED  SILENT  LEFT\n"
        "canary        4       1       0     0\n"
        "control      36       4       0     1\n"
        "ok    failures: 1 of 4 canaries failed, 4 of 36 controls did; no sign that the release is worse\n"
        "stratum cam-b is quarantined: it alone has shown harm, and is told nothing more\n");
  bench.console.stdout_text.clear();
  CHECK(bench.run({"rollout", "explain", "ro_1", "-o", "wide"}) == 0);
  CHECK(bench.console.stdout_text.find("      failures harm: e-value 1.25 of 333.3, bad 1, control_bad 4\n") != std::string::npos);
}

TEST_CASE("verbs send their reason and tell the new state") {
  FakeServer const server(in_turn({rollout("paused")}));
  Bench bench;
  bench.use(server);
  for (auto const* verb : {"start", "pause", "resume", "retry"}) {
    CHECK(bench.run({"rollout", verb, "ro_1", "--reason", "because"}) == 0);
    CHECK(server.seen().back().line == std::string("POST /api/v1/rollouts/ro_1:") + verb);
    CHECK(json::parse(server.seen().back().body) == json::parse(R"({"reason":"because"})"));
    CHECK(bench.console.stderr_text == "rollout ro_1: paused\n");
    CHECK(bench.console.stdout_text.empty());
  }
  CHECK(bench.run({"rollout", "retry", "ro_1", "--device", "cam-1", "-o", "name"}) == 0);
  CHECK(json::parse(server.seen().back().body) == json::parse(R"({"device":"cam-1"})"));
  CHECK(bench.console.stdout_text == "ro_1\n");
}

TEST_CASE("a promotion names the stage that it skips: the one that was said, else the one that the rollout is in") {
  FakeServer const server(in_turn({rollout("running")}));
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"rollout", "promote", "ro_1", "--stage", "3"}) == 0);
  REQUIRE(server.seen().size() == 1);
  CHECK(json::parse(server.seen().back().body) == json::parse(R"({"stage":3})"));
  CHECK(bench.run({"rollout", "promote", "ro_1", "--reason", "fix"}) == 0);
  REQUIRE(server.seen().size() == 3);
  CHECK(server.seen()[1].line == "GET /api/v1/rollouts/ro_1");
  auto const stage = json::parse(rollout("running")).at("stage").at("index");
  CHECK(json::parse(server.seen().back().body) == json::value{{"stage", stage}, {"reason", "fix"}});
  CHECK(bench.run({"rollout", "promote", "ro_1", "--stage", "0"}) == 2);
}

TEST_CASE("simulate sends what a file and options say of the fleet, and tells the first run, then what all came to") {
  constexpr std::string_view told = R"({"seed":5,"devices":100,"harmful":true,
    "first":[{"hours":0.2,"state":"rolling_back","stage":1,"told":5,"exposed":5,"healthy":1,"failed":0,"silent":4,"reason":"silent: 4 of 5"}],
    "runs":[],"summary":{"runs":2,"completed":0,"rolled_back":2,"paused":0,"undecided":0,"false_rollbacks":0,"missed_harm":0,
    "harmed":{"median":4,"p90":5,"max":5},"canaries":{"median":5,"p90":5,"max":5},"hours":{"median":0.2,"p90":0.25,"max":0.25}}})";
  FakeServer const server([&](Seen const&) { return net::json_response(200, std::string(told)); });
  Bench bench;
  bench.use(server);
  auto const file = bench.folder.write("scenario.yaml", "base: 0.02\noffline: 0.5\nsite_shock: {share: 0.25, hours: 2}\n");
  CHECK(bench.run({"rollout", "simulate", "--policy", "fast", "--scenario", file, "--harm", "5%", "--offline", "0.2", "--kind", "silent", "--seed", "5"}) == 0);
  REQUIRE(server.seen().size() == 1);
  auto const body = json::parse(server.seen().front().body);
  auto const& scenario = body.at("scenario");
  CHECK(scenario.at("base").to_number<double>() == doctest::Approx(.02));
  CHECK(scenario.at("harm").to_number<double>() == doctest::Approx(.05));
  CHECK(scenario.at("offline").to_number<double>() == doctest::Approx(.2));
  CHECK(scenario.at("kind") == "silent");
  CHECK(scenario.at("site_shock").at("hours").to_number<double>() == doctest::Approx(2));
  CHECK(body.at("seed").to_number<int>() == 5);
  for (auto const* const words : {"the release is harmful", "after 0.2 h, stage 1: rolling_back; 5 told", "2 rolled back", "4 in the median, 5 at most"})
    CHECK(bench.console.stdout_text.find(words) != std::string::npos);
  CHECK(bench.run({"rollout", "simulate", "--policy", "fast", "--harm", "many"}) == 2);
  CHECK(bench.console.stderr_text.find("write 5% or 0.05") != std::string::npos);
}
