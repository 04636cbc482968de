#include "bench.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::commands::testing;

TEST_CASE("a release is one card with its files, data sets and what was found in them") {
  FakeServer const server([](Seen const&) {
    return net::json_response(200, R"({"model":"reader","version":"2.0.0","state":"approved","variants":[{"hardware":["cam-a","cam-b"],"files":[
      {"name":"bin/run","size":10,"sha256":"aaaaaaaaaaaaaaaa","executable":true}]}],"parents":[{"model":"reader","version":"1.0.0","relation":"finetune"}],
      "datasets":[{"name":"digits","sha256":"bb"}],"metrics":{},"inspection":{"model.onnx":{"opset":13}},"created_at":"2026-11-20T09:00:00Z"})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"release", "get", "reader@2.0.0"}) == 0);
  CHECK(server.seen().back().line == "GET /api/v1/models/reader/releases/2.0.0");
  CHECK(bench.console.stdout_text ==
        "RELEASE:     reader@2.0.0\n"
        "STATE:       approved\n"
        "HARDWARE:    cam-a,cam-b\n"
        "PARENTS:     reader@1.0.0 (finetune)\n"
        "CREATED:     1h ago\n"
        "DATASETS:    digits sha256:bb\n"
        "FILES:       cam-a,cam-b: bin/run  10 B, executable  aaaaaaaaaaaa\n"
        "INSPECTION:  model.onnx: {\"opset\":13}\n");
  CHECK(bench.run({"release", "get", "reader"}) == 2);
}

TEST_CASE("without a model the releases of all are listed") {
  FakeServer const server([](Seen const& request) {
    if (request.line.starts_with("GET /api/v1/models?")) return net::json_response(200, R"({"items":[{"name":"a"},{"name":"b"}],"next":null})");
    auto const model = request.line.substr(std::string("GET /api/v1/models/").size(), 1);
    return net::json_response(200, R"({"items":[{"model":")" + model + R"(","version":"1"}],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"release", "list", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "a@1\nb@1\n");
  CHECK(bench.run({"release", "list", "--model", "b", "--state", "approved", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "b@1\n");
  CHECK(server.seen().back().line == "GET /api/v1/models/b/releases?state=approved&limit=500");
}

TEST_CASE("lineage goes up, and down with --descendants") {
  FakeServer const server([](Seen const&) {
    return net::json_response(200, R"({"release":"m@2","ancestors":[{"model":"m","version":"1","relation":"finetune","of":"m@2"}],
      "descendants":[{"model":"m","version":"3","relation":"quantized","of":"m@2"}]})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"release", "lineage", "m@2"}) == 0);
  CHECK(bench.console.stdout_text == "m@1  parent of m@2 (finetune)\n");
  CHECK(bench.run({"release", "lineage", "m@2", "--descendants"}) == 0);
  CHECK(bench.console.stdout_text == "m@3  child of m@2 (quantized)\n");
  CHECK(bench.run({"release", "lineage", "m@2", "--descendants", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "m@3\n");
}
