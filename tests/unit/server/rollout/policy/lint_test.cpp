#include "server/rollout/policy/lint.hpp"
#include "server/rollout/policy/presets.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

/// Forty devices in four classes, and one of a class of its own.
FleetFacts forty() { return {41, {10, 10, 10, 10, 1}, {{"region", 41}, {"site", 3}, {"line", 0}}, std::set<std::string>{"accuracy", "latency_ms"}, {}}; }

std::vector<Finding> of(std::string const& text, FleetFacts const* fleet) {
  auto const policy = decode_policy(text);
  REQUIRE_MESSAGE(policy.has_value(), (policy ? std::string() : policy.error().detail));
  return lint(*policy, fleet);
}

std::string told(std::vector<Finding> const& findings) {
  std::string out;
  for (auto const& one : findings) out += fmt::format("{}: {}\n", one.pointer, one.text);
  return out;
}

struct Case {
  std::string text, pointer, words;  ///< of the only finding; empty: there is none
};

void check_found(std::vector<Case> const& cases, FleetFacts const* fleet) {
  for (auto const& c : cases) {
    CAPTURE(c.text);
    auto const found = of(c.text, fleet);
    CAPTURE(told(found));
    REQUIRE(found.size() == (c.words.empty() ? 0 : 1));
    if (c.words.empty()) continue;
    CHECK(found[0].pointer == c.pointer);
    CHECK(found[0].text.find(c.words) != std::string::npos);
  }
}

constexpr std::string_view kGates = R"("gates":{"silent":{}})";
Case stages(std::string const& list, std::string pointer, std::string words) { return {fmt::format(R"({{"stages":[{}],{}}})", list, kGates), std::move(pointer), std::move(words)}; }
Case gates(std::string const& keys, std::string pointer, std::string words) {
  return {R"({"stages":[{"percent":50},{"percent":100}],"gates":{)" + keys + "}}", std::move(pointer), std::move(words)};
}

}  // namespace

TEST_CASE("what can be told of a policy without a fleet") {
  check_found(
      {
          stages(R"({"percent":5},{"percent":100})", "", ""),
          stages(R"({"percent":5},{"percent":50})", "/stages/1/percent", "ends at 50 %"),
          stages(R"({"devices":5})", "/stages/0/devices", "ends at 5 devices, whatever the fleet"),
          {R"({"stages":[{"percent":100}]})", "/gates", "no gate stops"},
          gates(R"("drift":{"metrics":["a"]})", "/gates", "no gate stops"),
          gates(R"("drift":{"metrics":["a"],"action":"rollback"})", "", ""),
          gates(R"("failures":{"max_odds_ratio":[5,4,3]})", "/gates/failures/max_odds_ratio/2", "3 values for 2 stages"),
          gates(R"("silent":{},"certify":{"devices_max":["60%","20%","10%"]})", "/gates/certify/devices_max/2", "3 values for 2 stages"),
          stages(R"({"percent":50,"cap":"90%"},{"percent":100})", "/stages/0/cap", "never go on"),
          stages(R"({"devices":50,"window":10,"every":"6h","deadline":"24h"},{"percent":100})", "/stages/0/deadline", "5 windows, 6h apart, do not fit in 1d"),
          stages(R"({"devices":50,"window":10,"every":"6h","deadline":"25h"},{"percent":100})", "", ""),
          {R"({"stages":[{"percent":100,"bake":"1h"}],"gates":{"silent":{}},"emergency":true})", "/stages/0/bake", "does not wait"},
          {R"({"stages":[{"percent":100}],"gates":{"silent":{}},"device":{"metered_max":"20MiB"}})", "/device/metered_max", "metered is allow"},
          {R"({"ab":{"against":"reader@1"},"gates":{"silent":{}}})", "", ""},
          {R"("standard")", "", ""},
      },
      nullptr);
}

TEST_CASE("what a fleet shows of a policy") {
  auto const fleet = forty();
  auto const term = [](std::string const& keys, std::string pointer, std::string words) {
    return Case{fmt::format(R"({{"stages":[{{"percent":100}}],{},{}}})", kGates, keys), std::move(pointer), std::move(words)};
  };
  check_found(
      {
          stages(R"({"percent":10},{"percent":50},{"percent":100})", "", ""),
          stages(R"({"percent":2},{"percent":10},{"percent":100})", "/stages/1", "adds nobody: it ends at 5 devices"),
          stages(R"({"devices":5},{"percent":10},{"percent":100})", "/stages/1", "adds nobody"),
          stages(R"({"devices":41},{"percent":100})", "/stages/1", "adds nobody"),
          stages(R"({"devices":41})", "", ""),
          stages(R"({"devices":40})", "/stages/0/devices", "ends at 40 of 41"),
          stages(R"({"devices":42})", "/stages/0/devices", "42 devices are more than the fleet has: 41"),
          {R"({"stages":[{"devices":10,"cap":50},{"percent":100}],"gates":{"failures":{"max_odds_ratio":5}}})", "/stages/0/cap", "more than the fleet has: 41"},
          stages(R"({"devices":10,"min_devices":11},{"percent":100})", "/stages/0/min_devices", "the stage has 10 devices: it never passes"),
          stages(R"({"devices":10,"window":11},{"percent":100})", "/stages/0/window", "more than the stage, 10"),
          gates(R"("silent":{},"certify":{"devices_max":["1%","60%"]})", "/gates/certify/devices_max/0", "no evidence that fewer than 1 % are bad: stage 1"),
          gates(R"("silent":{},"failures":{"max_odds_ratio":5},"certify":{"devices_max":["1%","60%"]})", "", ""),
          gates(R"("absolute":[{"metric":"accurcy","min":1}])", "/gates/absolute/0/metric", "no device ever sent 'accurcy'"),
          gates(R"("absolute":[{"metric":"agent.install_failure"},{"metric":"accuracy","min":1}])", "", ""),
          gates(R"("metrics":[{"name":"latency_ms"},{"name":"watts"}])", "/gates/metrics/1/name", "'watts'"),
          gates(R"("silent":{},"drift":{"metrics":["accuracy","confidence"]})", "/gates/drift/metrics/1", "'confidence'"),
          term(R"("strata":["hardware","region"])", "", ""),
          term(R"("strata":["hardware","regoin"])", "/strata/1", "none of the 41 devices has the label 'regoin'"),
          term(R"("strata":["line"])", "/strata/0", "'line'"),
          term(R"("limits":{"per":"line"})", "/limits/per", "nothing is limited"),
          term(R"("limits":{"per":"site","at_once":50})", "/limits/at_once", "limits nothing"),
          term(R"("limits":{"in_flight":500})", "/limits/in_flight", "limits nothing"),
          term(R"("limits":{"in_flight":4,"per":"site"})", "", ""),
      },
      &fleet);
}

TEST_CASE("a holdback is no part of the fleet that stages are of") {
  auto const fleet = FleetFacts{100, {100}};
  check_found({{R"({"stages":[{"devices":95}],"gates":{"silent":{}},"holdback":"5%"})", "", ""},
               {R"({"stages":[{"devices":96}],"gates":{"silent":{}},"holdback":"5%"})", "/stages/0/devices", "more than the fleet has: 95"}},
              &fleet);
}

TEST_CASE("nobody who could run it") {
  std::string const plain = R"({"stages":[{"percent":100}],"gates":{"silent":{}},"strata":["nowhere"]})";
  FleetFacts fleet;
  check_found({{plain, "", "no device is selected"}}, &fleet);
  fleet.match = MatchFacts{"reader@2", 0};
  check_found({{plain, "", "hardware that reader@2 has a variant for"}}, &fleet);
  fleet = {40, {40}, {{"nowhere", 40}}};
  fleet.match = MatchFacts{"reader@2", 40, {{"onnxruntime>=1.16", 3}, {"memory_min 64 MiB", 0}}};
  check_found({{plain, "", "none of 40 devices meets what reader@2 asks for: memory_min 64 MiB"}}, &fleet);
}

TEST_CASE("labels that facts must count") {
  auto const policy = decode_policy(R"({"stages":[{"percent":100}],"strata":["region","hardware"],"limits":{"per":"site"}})");
  REQUIRE(policy.has_value());
  CHECK(labels_of(*policy) == std::vector<std::string>{"region", "site"});
}

TEST_CASE("nothing is found in a preset of the fleet") {
  for (auto const name : kPresetNames)
    for (std::int64_t const targeted : {1, 2, 3, 4, 5, 12, 59, 60, 63, 100, 599, 1'000, 6'000, 100'000}) {
      CAPTURE(name);
      CAPTURE(targeted);
      FleetFacts fleet{targeted, {targeted}};
      fleet.metrics.emplace();
      auto const found = lint(preset_for(name, {targeted}), &fleet);
      CHECK_MESSAGE(found.empty(), told(found));
    }
}
