#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::cli::testing;

namespace {

constexpr char const* kModels = R"("models":[{"model":"reader","releases":5,"files":6,"bytes":2097152,"prepared_bytes":1024,"rollouts":1,"out_bytes":41943040,
  "money":{"egress":3.7,"storage":0.05,"total":3.75,"currency":"EUR"},"keep":{"releases":3,"gone":2,"because":{"newest":2,"running":1},"gone_versions":["2","1"],"bytes":1048576,"gone_bytes":1048576,"prepared_gone_bytes":0}}],
  "rollouts":[{"id":"r_1","model":"reader","version":"5","state":"running","told":40,"counted":40,"out_bytes":41943040,"as_it_is_bytes":83886080,"money":{"egress":3.7,"total":3.7,"currency":"EUR"},
  "devices":[{"model":"reader","hardware":"cam-a","from":"4","devices":40,"kind":"tensor_delta","bytes":1048576}]}],"cut":false,
  "store":{"files":7,"bytes":2097165,"unnamed_bytes":13,"prepared_bytes":1024,"uploading_bytes":0,"leaving_bytes":0},"requests":{"devices":40,"polls_a_day":61714.3,"reports_a_day":57600},"sent_bytes":1048576,
  "keep":{"newest":2,"gone":2,"gone_bytes":1048576,"prepared_gone_bytes":0,"saves":{"storage":0.0024,"total":0.0024,"currency":"EUR"}})";

std::string const kPriced = R"({"prices":{"egress":0.09,"storage":0.023,"requests":null,"currency":"EUR"},)" + std::string(kModels) +
                            R"(,"money":{"egress":3.7,"storage":0.05,"total":3.75,"currency":"EUR"}})";
std::string const kBare = R"({"prices":null,"models":[{"model":"reader","releases":5,"bytes":2097152,"prepared_bytes":1024,"rollouts":0,"out_bytes":0,"money":null,"keep":null}],"rollouts":[],"cut":false,
  "store":null,"requests":null,"sent_bytes":null,"keep":null,"money":null})";

}  // namespace

TEST_CASE("costs show what is measured and, marked, what is estimated; money where prices are set") {
  bool priced = true;
  FakeServer const server([&](Seen const&) { return net::json_response(200, priced ? kPriced : kBare); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"cost"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/cost");
  CHECK(bench.console.stdout_text ==
        "MODEL   RELEASES   STORED  PREPARED  ROLLOUTS  OUT IN 30 DAYS   A MONTH\n"
        "reader         5  2.0 MiB   1.0 KiB         1       ~40.0 MiB  3.75 EUR\n"
        "\n"
        "ROLLOUT  RELEASE   STATE    TOLD        OUT  AS IT IS    EGRESS\n"
        "r_1      reader@5  running    40  ~40.0 MiB  80.0 MiB  3.70 EUR\n"
        "stored, each file once: 2.0 MiB in 7 files (13 B of no release), 1.0 KiB prepared for the way, 0 B of uploads under way, 0 B about to go\n"
        "requests: ~61714 polls and at most ~57600 reports a day, of 40 devices that are online\n"
        "sent: 1.0 MiB of files since the server started\n"
        "a month: storage 0.05, egress 3.70: 3.75 EUR\n");
  CHECK(bench.run({"cost", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "reader\n");
  priced = false;
  CHECK(bench.run({"cost", "--model", "reader"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/cost?model=reader");
  CHECK(bench.console.stdout_text ==
        "MODEL   RELEASES   STORED  PREPARED  ROLLOUTS  OUT IN 30 DAYS\n"
        "reader         5  2.0 MiB   1.0 KiB         0            ~0 B\n");
  CHECK(bench.console.stderr_text.find("no prices are set") != std::string::npos);
}

TEST_CASE("the cost of one rollout says who fetches what") {
  FakeServer const server([](Seen const&) { return net::json_response(200, kPriced); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"cost", "--rollout", "r_1"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/cost?rollout=r_1");
  CHECK(bench.console.stdout_text.find("  40 x cam-a reader from 4: tensor_delta, 1.0 MiB each\n") != std::string::npos);
  CHECK(bench.console.stdout_text.find("MODEL") == std::string::npos);
}

TEST_CASE("what would go is shown by model, with why the rest stays, and that nothing went") {
  FakeServer const server([](Seen const&) { return net::json_response(200, kPriced); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"cost", "--keep-releases", "2"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/cost?keep_releases=2");
  auto const& text = bench.console.stdout_text;
  CHECK_MESSAGE(text.find("MODEL   STAY  GO     LEFT    FREED  STAY BECAUSE        WHICH GO\n"
                          "reader     3   2  1.0 MiB  1.0 MiB  newest=2,running=1  2,1\n") != std::string::npos,
                text);
  CHECK(text.find("all models: 2 releases would go, 1.0 MiB of files and 0 B prepared from them: 0.0024 EUR a month less\n") != std::string::npos);
  CHECK(text.find("nothing was deleted") != std::string::npos);
  for (auto const* const wrong : {"0", "-1", "two"}) CHECK(bench.run({"cost", "--keep-releases", wrong}) == 2);
}

TEST_CASE("prices that are not named stay as they are") {
  std::string now = R"({"egress":0.09,"storage":null,"requests":null,"currency":"EUR"})";
  FakeServer const server([&](Seen const& request) {
    if (request.line.starts_with("PUT")) now = R"({"egress":0.09,"storage":0.023,"requests":null,"currency":"EUR"})";
    auto response = net::json_response(200, now);
    response.headers.push_back({"ETag", "\"3.x\""});
    return response;
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"cost", "prices"}) == 0);
  CHECK(bench.console.stdout_text == "egress:   0.09 EUR for a GB (10^9 bytes) out\nstorage:  not set\nrequests: not set\n");
  CHECK(server.seen().size() == 1);
  CHECK(bench.run({"cost", "prices", "--storage", "0.023", "--reason", "the new contract"}) == 0);
  CHECK(server.seen().back().line == "PUT /api/v1/cost/prices");
  CHECK(server.seen().back().body == R"({"egress":0.09,"storage":0.023,"requests":null,"currency":"EUR","reason":"the new contract"})");
  CHECK(net::find_header(server.seen().back().headers, "If-Match") == "\"3.x\"");
  CHECK(bench.console.stdout_text.find("storage:  0.023 EUR for a GB stored for a month\n") != std::string::npos);
  CHECK(bench.run({"cost", "prices", "--egress", "none", "-o", "json"}) == 0);
  CHECK(server.seen().back().body.find(R"("egress":null)") != std::string::npos);
  for (auto const* const wrong : {"cheap", "-1", "1e10", "0.09EUR"}) CHECK(bench.run({"cost", "prices", std::string("--egress=") + wrong}) == 2);
}
