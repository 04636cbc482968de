#include "agent/conditions/variant_choice.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::vector<VariantChoice> const kChoices{{"tiny", {10, std::nullopt, std::nullopt}}, {"small", {30, false, std::nullopt}}, {"cool", {0, std::nullopt, 70.0}}};

}  // namespace

TEST_CASE("the first variant whose conditions all hold runs, else the hardware's own; what a device cannot tell does not hold") {
  struct Case {
    PowerReadings readings;
    std::string_view variant;
  };
  for (auto const& [readings, variant] : std::to_array<Case>({
           {{80, false, 40.0}, ""},
           {{29, false, 40.0}, "small"},
           {{30, false, 40.0}, ""},
           {{29, true, 40.0}, ""},
           {{9, true, 40.0}, "tiny"},
           {{9, false, 90.0}, "tiny"},
           {{80, false, 70.1}, "cool"},
           {{80, false, 70.0}, ""},
           {{std::nullopt, false, 40.0}, ""},
           {{29, std::nullopt, 40.0}, ""},
           {{std::nullopt, std::nullopt, 71.0}, "cool"},
           {{}, ""},
       }))
    CHECK(choose_variant(kChoices, "", readings) == variant);
  CHECK(choose_variant({{"later", {50, std::nullopt, std::nullopt, true}}}, "", {1, false, 0.0}).empty());  // a condition that this agent does not know
}

TEST_CASE("a variant that runs is left only beyond a margin: no reading at its limit switches to and fro") {
  CHECK(choose_variant(kChoices, "small", {34, false, 40.0}) == "small");
  CHECK(choose_variant(kChoices, "small", {35, false, 40.0}).empty());
  CHECK(choose_variant(kChoices, "small", {34, true, 40.0}).empty());  // the charger is there or not
  CHECK(choose_variant(kChoices, "cool", {80, false, 67.1}) == "cool");
  CHECK(choose_variant(kChoices, "cool", {80, false, 67.0}).empty());
  CHECK(choose_variant(kChoices, "tiny", {12, false, 40.0}) == "tiny");
  CHECK(choose_variant(kChoices, "tiny", {15, false, 40.0}) == "small");
}
