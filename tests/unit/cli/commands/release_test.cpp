#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::cli::testing;

TEST_CASE("a release is one card with its files, data sets and what was found in them") {
  FakeServer const server([](Seen const& seen) {
    if (seen.line.find("/routes") != std::string::npos)
      return net::json_response(200, R"({"items":[{"hardware":["cam-a"],"variant":"small","file":"model.onnx","sha256":"aa","size":1000000,"routes":[
        {"state":"ready","kind":"tensor_delta","from":"reader@1.0.0","bytes":20480,"saves_percent":97.95,"devices":40},
        {"state":"refused","kind":null,"from":null,"why":"950001 bytes"},{"state":"waiting","from":"reader@0.9.0"},{"state":"failed","from":"reader@0.8.0","why":"bad_block: x"}]}],"next":null})");
    return net::json_response(200, R"({"model":"reader","version":"2.0.0","state":"approved","variants":[{"hardware":["cam-a","cam-b"],"files":[
      {"name":"bin/run","size":10,"sha256":"aaaaaaaaaaaaaaaa","executable":true}]}],"parents":[{"model":"reader","version":"1.0.0","relation":"finetune"}],
      "datasets":[{"name":"digits","sha256":"bb"}],"metrics":{},"inspection":{"model.onnx":{"opset":13}},"created_at":"2026-11-20T09:00:00Z"})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"release", "get", "reader@2.0.0"}) == 0);
  CHECK(server.seen().front().line == "GET /api/v1/models/reader/releases/2.0.0");
  CHECK(bench.console.stdout_text ==
        "RELEASE:     reader@2.0.0\n"
        "STATE:       approved\n"
        "HARDWARE:    cam-a,cam-b\n"
        "PARENTS:     reader@1.0.0 (finetune)\n"
        "CREATED:     1h ago\n"
        "DATASETS:    digits sha256:bb\n"
        "FILES:       cam-a,cam-b: bin/run  10 B, executable  aaaaaaaaaaaa\n"
        "ROUTES:      cam-a/small: model.onnx: tensor_delta from reader@1.0.0  20.0 KiB, saves 98.0 %\n"
        "             cam-a/small: model.onnx: compressed  saves too little\n"
        "             cam-a/small: model.onnx: delta from reader@0.9.0  is being prepared\n"
        "             cam-a/small: model.onnx: delta from reader@0.8.0  failed: bad_block: x\n"
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
  CHECK(bench.console.stdout_text == "m@2\n└─ m@1 (finetune)\n");
  CHECK(bench.run({"release", "lineage", "m@2", "--descendants"}) == 0);
  CHECK(bench.console.stdout_text == "m@2\n└─ m@3 (quantized)\n");
  CHECK(bench.run({"release", "lineage", "m@2", "--descendants", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "m@3\n");
  CHECK(bench.run({"release", "lineage", "m@2", "--dot"}) == 0);
  CHECK(bench.console.stdout_text.starts_with("digraph lineage {"));
}

TEST_CASE("devices of a release, of its descendants, or of a data set: one question at a time") {
  FakeServer const server([](Seen const&) { return net::json_response(200, R"({"items":[{"id":"cam-1"}],"next":null})"); });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"release", "devices", "--descends-from", "m@1", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "cam-1\n");
  CHECK(server.seen().back().line.starts_with("GET /api/v1/devices?descends_from=m%401"));
  CHECK(bench.run({"release", "devices", "--dataset", "faces", "-o", "name"}) == 0);
  CHECK(server.seen().back().line.starts_with("GET /api/v1/devices?dataset=faces"));
  CHECK(bench.run({"release", "devices", "m@1", "--dataset", "faces"}) == 2);
  CHECK(bench.run({"release", "devices"}) == 2);
  CHECK(bench.run({"release", "devices", "--descends-from", "m"}) == 2);
}

TEST_CASE("a recall says who runs what, and what to type next") {
  FakeServer const server([](Seen const&) {
    return net::json_response(200, R"({"items":[{"model":"m","version":"1","was":"approved","devices":0,"rollouts":[{"id":"r_0","state":"completed"}]},
      {"model":"m","version":"2","was":"approved","devices":3,"rollouts":[{"id":"r_2","state":"running"},{"id":"r_1","state":"completed"}]}],"next":null})");
  });
  Bench bench;
  bench.use(server);
  CHECK(bench.run({"release", "revoke", "m@1", "--recall", "--reason", "bad data"}) == 2);  // nobody to ask
  CHECK(bench.run({"release", "revoke", "m@1", "--recall", "--reason", "bad data", "--yes"}) == 0);
  CHECK(server.seen().back().line == "POST /api/v1/models/m/releases/1:revoke");
  CHECK(server.seen().back().body == R"({"reason":"bad data","recall":true})");
  CHECK(bench.console.stdout_text.find("m@2") != std::string::npos);
  CHECK(bench.console.stderr_text.find("fleetctl rollout rollback r_2 --yes") != std::string::npos);
  CHECK(bench.console.stderr_text.find("r_0") == std::string::npos);
}
