#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <string>

using namespace fleet;
using namespace fleet::cli::testing;
namespace json = boost::json;

namespace {

constexpr std::string_view kFile = "stages:\n  - {percent: 5}\n  - {percent: 50}\nstrata: [hardware, regoin]\nab:\n";
constexpr std::string_view kFound = R"({"policy":{"stages":[{"percent":5},{"percent":50}]},"devices":40,"findings":[
  {"pointer":"/policy/strata/1","detail":"none of the 40 devices has the label 'regoin'","hint":"look"},
  {"pointer":"/policy/stages/1/percent","detail":"the last stage ends at 50 %","hint":""}]})";

FakeServer::Script says(std::string_view body) {
  return [body = std::string(body)](Seen const&) { return net::json_response(200, body); };
}

}  // namespace

TEST_CASE("lint tells what looks wrong with its lines, in their order") {
  Bench bench;
  FakeServer const server(says(kFound));
  bench.use(server);
  auto const file = bench.folder.write("policy.yaml", kFile);
  CHECK(bench.run({"policy", "lint", file, "-l", "site=lab", "--release", "reader@2.0.0"}) == 0);
  auto const& out = bench.console.stdout_text;
  auto const first = out.find("/policy/stages/1/percent: the last stage ends at 50 % (" + file + ", line 3)");
  auto const second = out.find("/policy/strata/1: none of the 40 devices has the label 'regoin'; look (" + file + ", line 4)");
  CHECK_MESSAGE(first != std::string::npos, out);
  CHECK_MESSAGE(second != std::string::npos, out);
  CHECK(first < second);
  CHECK_MESSAGE(out.find("2 stages on 40 devices: 2 places to look at") != std::string::npos, out);
  REQUIRE(server.seen().size() == 1);
  CHECK(server.seen()[0].line == "POST /api/v1/policies:lint");
  auto const body = json::parse(server.seen()[0].body);
  CHECK(body.at("selector").as_string() == "site=lab");
  CHECK(body.at("model").as_string() == "reader");
  CHECK(body.at("version").as_string() == "2.0.0");
  CHECK(bench.run({"policy", "lint", file, "--all", "--strict"}) == 1);
  CHECK(json::parse(server.seen()[1].body).at("selector").as_string().empty());
}

TEST_CASE("lint asks about no fleet unless told which, and a sound policy is good even when strict") {
  Bench bench;
  FakeServer const server(says(R"({"policy":"standard","findings":[]})"));
  bench.use(server);
  CHECK(bench.run({"policy", "lint", "standard", "--strict"}) == 0);
  CHECK(bench.console.stdout_text == "standard can be used: nothing looks wrong\n");
  auto const body = json::parse(server.seen().at(0).body).as_object();
  CHECK(body.at("policy").as_string() == "standard");
  CHECK_FALSE(body.contains("selector"));
  CHECK(bench.run({"policy", "lint", "standard", "--all", "-l", "site=lab"}) == 2);
}

TEST_CASE("a refused policy is an error with its line") {
  Bench bench;
  FakeServer const server([](Seen const&) {
    return net::json_response(400, R"({"type":"urn:fleet:problem:bad_policy","title":"bad","status":400,"detail":"policy: wrong","code":"bad_policy",
      "errors":[{"pointer":"/policy/stages/1/percent","detail":"above 0"}]})");
  });
  bench.use(server);
  auto const file = bench.folder.write("policy.yaml", kFile);
  CHECK(bench.run({"policy", "lint", file}) == 2);
  CHECK_MESSAGE(bench.console.stderr_text.find("line 3") != std::string::npos, bench.console.stderr_text);
}

TEST_CASE("preset prints the policy that it becomes") {
  Bench bench;
  FakeServer const server(says(R"({"stages":[{"devices":160}]})"));
  bench.use(server);
  CHECK(bench.run({"policy", "preset", "standard", "-l", "site=lab"}) == 0);
  CHECK(json::parse(bench.console.stdout_text).at("stages").as_array().size() == 1);
  CHECK(server.seen().at(0).line == "POST /api/v1/policies:preset");
  auto const body = json::parse(server.seen()[0].body);
  CHECK(body.at("name").as_string() == "standard");
  CHECK(body.at("selector").as_string() == "site=lab");
}
