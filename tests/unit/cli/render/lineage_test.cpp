#include "cli/render/lineage.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>

namespace fleet::render {
namespace {

auto const kFamily = boost::json::parse(R"({"release":"m@3","ancestors":[
  {"model":"m","version":"2","relation":"quantized","of":"m@3"},{"model":"n","version":"1","relation":"merge","of":"m@3"},
  {"model":"m","version":"1","relation":"finetune","of":"m@2"},{"model":"m","version":"1","relation":"distilled","of":"n@1"}],
  "descendants":[{"model":"m","version":"4\"","relation":"adapter","of":"m@3"}]})");

TEST_CASE("a family is a tree, one line an edge; who was shown with all of its own is not unfolded again") {
  CHECK(lineage_tree(kFamily, false) ==
        "m@3\n"
        "├─ m@2 (quantized)\n"
        "│  └─ m@1 (finetune)\n"
        "└─ n@1 (merge)\n"
        "   └─ m@1 (distilled)\n");
  CHECK(lineage_tree(kFamily, true) == "m@3\n└─ m@4\" (adapter)\n");
  CHECK(lineage_tree(boost::json::parse(R"({"release":"m@1"})"), true) == "m@1\n");
}

TEST_CASE("a graph that goes in circles ends") {
  auto const circle = boost::json::parse(R"({"release":"m@1","ancestors":[{"model":"m","version":"2","relation":"merge","of":"m@1"},
    {"model":"m","version":"1","relation":"merge","of":"m@2"}]})");
  CHECK(lineage_tree(circle, false) == "m@1\n└─ m@2 (merge)\n   └─ m@1 (merge) …\n");
}

TEST_CASE("for Graphviz both ways are one graph, from what was first, with quoted names") {
  auto const dot = lineage_dot(kFamily);
  CHECK(dot.starts_with("digraph lineage {\n"));
  CHECK(dot.find("\"m@2\" -> \"m@3\" [label=\"quantized\"];") != std::string::npos);
  CHECK(dot.find("\"m@3\" -> \"m@4\\\"\" [label=\"adapter\"];") != std::string::npos);
  CHECK(dot.ends_with("}\n"));
}

}  // namespace
}  // namespace fleet::render
