#include "core/wire/yaml.hpp"
#include "core/wire/json.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::wire;

namespace {

std::string json_of(std::string_view yaml, std::span<std::string_view const> texts = {}) {
  auto const document = read_yaml(yaml, 1024 * 1024, texts);
  return document ? document->json : "refused: " + document.error().detail;
}

}  // namespace

TEST_CASE("YAML becomes JSON by the core schema") {
  for (auto const& [yaml, json] : std::to_array<std::pair<std::string_view, std::string_view>>({
           {"a: 1\nb: 2%\nc: \"01:00\"\nd: [true, no, ~, 1.5, '7']\ne: {from: 01:00}\nf: 30m\n",
            R"({"a":1,"b":"2%","c":"01:00","d":[true,"no",null,1.5E0,"7"],"e":{"from":"01:00"},"f":"30m"})"},
           {"a: 0x1F\nb: 0o17\nc: 012\nd: 1_000\ne: +5\nf: -7\n", R"({"a":31,"b":15,"c":12,"d":"1_000","e":5,"f":-7})"},
           {"a:\nb: ~\n", R"({"a":null,"b":null})"},
           {"a: it's\nb: \"it's \\\"so\\\"\"\nc: 'it''s'\n", R"({"a":"it's","b":"it's \"so\"","c":"it's"})"},
           {"a: &x \"1\"\nb: *x\nc: ! 5\n", R"({"a":"1","b":"1","c":"5"})"},
           {"\xef\xbb\xbf" "a: \"é\"\r\nb: \"x\"\r\n", "{\"a\":\"é\",\"b\":\"x\"}"},
           {"", "null"},
       })) {
    CAPTURE(yaml);
    CHECK(json_of(yaml) == json);
  }
}

TEST_CASE("where text is wanted a number stays as it was written") {
  constexpr auto kTexts = std::to_array<std::string_view>({"/report/*", "/golden/command/*"});
  CHECK(json_of("report: {a: 1.10, b: 12.20, c: 20250102, d: 1e5, e: \"1.17\", f: 0x10, g: True, h: 1e999}\nother: {a: 1.10}\n", kTexts) ==
        R"({"report":{"a":"1.10","b":"12.20","c":"20250102","d":"1e5","e":"1.17","f":"0x10","g":"True","h":"1e999"},"other":{"a":1.1E0}})");
  CHECK(json_of("golden: {command: [reader, --scale, 1.50]}\n", kTexts) == R"({"golden":{"command":["reader","--scale","1.50"]}})");
}

TEST_CASE("what yaml-cpp passes over is refused, with its line") {
  for (auto const& [yaml, says] : std::to_array<std::pair<std::string_view, std::string_view>>({
           {"a: \"abc\nb: 1\n", "line 1, column 4: a quote that is not closed"},
           {"x: 1\na: 'abc\n", "line 2, column 4: a quote that is not closed"},
           {"é: 1\n\"b: 2\n", "line 2"},
           {"a: [b,,c]\n", "item 2 of this list has no value"},
           {"a:\n- b\n-\n", "item 2 of this list has no value"},
           {"a: !!str 1\n", "tags such as"},
           {"a: !mine b\n", "tags such as"},
           {"!mine {a: 1}\n", "tags such as"},
           {"a: !!seq [b]\n", "tags such as"},
           {"x: 1\ne: .inf\n", "line 2, column 4: .inf is no number that can be kept"},
           {"e: -.INF\n", "no number"},
           {"e: .nan\n", "no number"},
           {"e: [1, -1e999]\n", "no number"},
           {"a: [1\n", "line 2"},
           {"a: 1\na: 2\n", "twice"},
           {"? [a]\n: b\n", "a key must be a plain word"},
           {"---\na: 1\n---\nb: 2\n", "more than one document"},
           {"a: x\x01\n", "line 1: the control character 0x01"},
           {std::string_view("a: 1\n\0b: 2\n", 11), "line 2: the control character 0x00"},
           {"a: \xff\n", "no UTF-8"},
           {"\xff\xfe" "a", "no UTF-8"},
           {", b: [a]}\nc: {d: e}\n", "more than one"},  // behind these the parser finds documents for ever
           {"]", "line 1"},
       })) {
    CAPTURE(yaml);
    auto const got = json_of(yaml);
    CAPTURE(got);
    CHECK(got.starts_with("refused: "));
    CHECK(got.find(says) != std::string::npos);
  }
}

TEST_CASE("copies of copies have an end") {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    auto const prior = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + prior;
    for (int k = 0; k < 9; ++k) bomb += "," + prior;
    bomb += "]\n";
  }
  CHECK(json_of(bomb).find("values") != std::string::npos);
}

TEST_CASE("a decoder's faults are told with file and line, in the order of lines") {
  auto const document = read_yaml("poll:\n  interval: 5m\n  jitter: 9\n\nhooks:\n  - a\n  - b\n");
  REQUIRE(document.has_value());
  CHECK(document->line_of("/poll/jitter") == 3);
  CHECK(document->line_of("/hooks/1") == 7);
  CHECK(document->line_of("/hooks/1/exec") == 7);
  CHECK(document->line_of("/nothing") == 1);
  Error const faults{Kind::bad_input, "bad", "two", {}, {{"/policy/hooks/1", "no text"}, {"/policy/poll/jitter", "too much"}}};
  auto const told = document->located(faults, "agent.yaml", "/policy");
  REQUIRE(told.errors.size() == 2);
  CHECK(told.errors[0].pointer == "/policy/poll/jitter");
  CHECK(told.errors[0].detail == "too much (agent.yaml, line 3)");
  CHECK(told.errors[1].detail == "no text (agent.yaml, line 7)");
  CHECK(told.detail == "agent.yaml: two");
}

TEST_CASE("JSON: numbers that no double holds, and numbers in the place of texts") {
  for (auto const* const text : {R"({"a":1e999})", R"([0,{"b":-1e309}])", "1e400"}) {
    CAPTURE(text);
    auto const value = parse_json(text, 1024);
    REQUIRE_FALSE(value.has_value());
    CHECK(value.error().code == "bad_number");
  }
  CHECK(parse_json(R"({"a":1.7e308,"b":1e-999})", 1024).has_value());
  auto const labels = parse_json(R"({"labels":{"a":"1.10","b":20250102,"c":true,"d":1.5}})", 1024).value();
  std::vector<FieldError> faults;
  ObjectReader reader(labels, "", faults);
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(reader.text_map("labels", 8, 64) == Pairs{{"a", "1.10"}, {"b", "20250102"}, {"c", "true"}});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].pointer == "/labels/d");
}
