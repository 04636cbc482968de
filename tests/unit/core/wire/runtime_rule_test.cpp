#include "core/wire/runtime_rule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

using namespace fleet;

TEST_CASE("a runtime rule holds as people and pip mean it") {
  struct Row {
    std::string_view rule, reported;
    bool holds;
  };
  constexpr auto kRows = std::to_array<Row>({
      {"onnxruntime>=1.16", "1.17.1", true},
      {"onnxruntime>=1.16", "1.9", false},
      {"onnxruntime >= 1.16", "1.16", true},
      {" onnxruntime>=1.16 ", "1.16.0", true},
      {"onnxruntime>1.16", "1.16.0", false},
      {"onnxruntime>1.16", "1.16.1", true},
      {"onnxruntime<2", "1.99", true},
      {"onnxruntime<=1.17", "1.17.0", true},
      {"onnxruntime<=1.17", "1.17.1", false},
      {"tensorrt==8.6.1", "8.6.1", true},
      {"tensorrt==8.6.1", "8.6.1.6", false},
      {"tensorrt==8.6", "8.6.0", true},
      {"tensorrt==8.6.*", "8.6.1.6", true},
      {"tensorrt==8.6.*", "8.60", false},
      {"tensorrt~=8.6.1", "8.6.4", true},
      {"tensorrt~=8.6.1", "8.7", false},
      {"tensorrt~=8.6", "8.7", true},
      {"tensorrt~=8.6", "9.0", false},
      {"tensorrt~=8.6", "8.5", false},
      {"tensorrt>=8.6,<8.7", "8.6.9", true},
      {"tensorrt >= 8.6 , < 8.7", "8.7.0", false},
      {"onnxruntime", "anything", true},
      {"onnxruntime>=1.17", "v1.17.1+cu118", true},
      {"onnxruntime==1.17.0", "1.17.0rc1", true},
      {"onnxruntime>=1.0", "unknown", false},
      {"onnxruntime>=1.0", "", false},
      {"onnxruntime<2", "99999999999999999999999999", false},
  });
  for (auto const& row : kRows) {
    CAPTURE(row.rule);
    CAPTURE(row.reported);
    auto const rules = wire::parse_runtime_rules(row.rule);
    REQUIRE(rules.has_value());
    CHECK(std::all_of(rules->begin(), rules->end(), [&](auto const& rule) { return wire::holds(rule, row.reported); }) == row.holds);
  }
}

TEST_CASE("one rule may ask for several runtimes; a comparison without a name is of the one before") {
  auto const rules = wire::parse_runtime_rules("tensorrt>=8.6,<8.7, cuda>=12").value();
  REQUIRE(rules.size() == 3);
  CHECK(rules[1].runtime == "tensorrt");
  CHECK(rules[1].text == "tensorrt<8.7");
  CHECK(rules[2].runtime == "cuda");
}

TEST_CASE("a slip in a runtime rule is refused, and what was meant is said") {
  struct Row {
    std::string_view rule, said;
  };
  constexpr auto kRows = std::to_array<Row>({
      {"tensorrt=8.6.1", "== is exactly this version"},
      {"tensorrt=>8.6", "`=>` is no comparison"},
      {"tensorrt!=8.6", "`!=` is no comparison"},
      {"tensorrt===8.6", "`===` is no comparison"},
      {"tensorrt>=", "a version is missing"},
      {">=8.6", "the name of a runtime is missing"},
      {"tensorrt>=8.6,", "a comparison is missing"},
      {"", "a comparison is missing"},
      {"tensorrt 8.6", "runtime"},
      {"tensorrt>=8.6.1-cuda", "is no version"},
      {"tensorrt>=8..6", "is no version"},
      {"tensorrt>=8.6 <8.7", "is no version"},
      {"tensorrt>=8.*", "goes with == alone"},
      {"tensorrt~=8", "two numbers or more"},
  });
  for (auto const& row : kRows) {
    CAPTURE(row.rule);
    auto const rules = wire::parse_runtime_rules(row.rule);
    REQUIRE_FALSE(rules.has_value());
    CHECK_MESSAGE(rules.error().detail.find(row.said) != std::string::npos, rules.error().detail);
    CHECK(rules.error().code == "bad_runtime_rule");
  }
}
