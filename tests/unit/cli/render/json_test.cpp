#include "cli/render/json.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

using namespace fleet::render;
namespace json = boost::json;

TEST_CASE("JSON keeps the order of members and the shortest numbers") {
  auto const value = json::parse(R"({"b":0.97,"a":[1,-2,1e300],"empty":{},"none":[],"t":"\u001b\"x","n":null,"y":true,"big":18446744073709551615})");
  CHECK(json_text(value, 0) == R"({"b":0.97,"a":[1,-2,1e+300],"empty":{},"none":[],"t":"\u001b\"x","n":null,"y":true,"big":18446744073709551615})");
  CHECK(json::parse(json_text(value, 2)) == value);
}

TEST_CASE("pretty JSON indents") { CHECK(json_text(json::parse(R"({"a":[1,2],"b":{}})"), 2) == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}"); }

TEST_CASE("reading is tolerant: what is missing or of another type is empty") {
  auto const value = json::parse(R"({"stage":{"index":2,"state":"baking"},"list":["a","b"],"map":{"k":"v","n":1},"yes":true})");
  CHECK(text_at(value, "stage.index") == "2");
  CHECK(text_at(value, "stage.state") == "baking");
  CHECK(text_at(value, "stage.none.deeper").empty());
  CHECK(text_at(value, "list.0").empty());
  CHECK(text_at(value, "yes") == "true");
  CHECK(number_at(value, "stage.index") == 2);
  CHECK(number_at(value, "stage.state", -1) == -1);
  CHECK(short_number_at(value, "stage.index") == "2");
  CHECK(short_number_at(value, "stage.state").empty());
  CHECK(short_number_at(json::parse(R"({"e":333.3333333})"), "e") == "333.3");
  CHECK(joined(member(value, "list")) == "a,b");
  CHECK(joined(member(value, "map")) == "k=v,n=1");
  CHECK(joined(member(value, "absent")).empty());
}
