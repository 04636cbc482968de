#include "server/rollout/policy/policy.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace fleet;
using namespace fleet::rollout;

namespace {

struct Case {
  std::string text, pointer, words;
};

/// Each text is refused, with a fault at the pointer that has the words.
void check_refused(std::vector<Case> const& cases) {
  for (auto const& c : cases) {
    CAPTURE(c.text);
    auto const policy = decode_policy(c.text, "/policy");
    REQUIRE_FALSE(policy.has_value());
    auto const error = policy.error();
    CHECK(error.code == "bad_policy");
    auto const named = std::find_if(error.errors.begin(), error.errors.end(),
                                    [&](FieldError const& e) { return e.pointer == c.pointer && e.detail.find(c.words) != std::string::npos; });
    CHECK_MESSAGE(named != error.errors.end(), error.detail);
  }
}

Case stage(std::string const& keys, std::string const& at, std::string words) { return {R"({"stages":[{)" + keys + "}]}", "/policy/stages/0" + at, std::move(words)}; }
Case gates(std::string const& keys, std::string const& at, std::string words) {
  return {R"({"stages":[{"percent":100}],"gates":{)" + keys + "}}", "/policy/gates" + at, std::move(words)};
}
Case term(std::string const& keys, std::string const& at, std::string words) { return {R"({"stages":[{"percent":100}],)" + keys + "}", "/policy" + at, std::move(words)}; }

std::string many(std::string const& item) {
  std::string out = item;
  for (int i = 0; i < 64; ++i) out += "," + item;
  return out;
}

}  // namespace

TEST_CASE("a wrong stage is refused at its place") {
  check_refused({
      {R"({})", "/policy/stages", "required"},
      {R"({"stages":[]})", "/policy/stages", "at least one"},
      {R"({"stages":7})", "/policy/stages", "list"},
      {R"({"stages":[7]})", "/policy/stages/0", "expected an object"},
      {R"({"stages":[)" + many(R"({"percent":100})") + "]}", "/policy/stages", "65 items, at most 64"},
      stage("", "", "either"),
      stage(R"("percent":5,"devices":3)", "", "either"),
      stage(R"("percent":0)", "/percent", "above 0"),
      stage(R"("percent":-5)", "/percent", "above 0"),
      stage(R"("percent":"101%")", "/percent", "at most 100"),
      stage(R"("percent":"ten")", "/percent", "percentage"),
      stage(R"("percent":"nan%")", "/percent", "percentage"),
      stage(R"("devices":-3)", "/devices", "not between 1"),
      stage(R"("devices":2.5)", "/devices", "whole number"),
      {R"({"stages":[{"percent":50},{"percent":20}]})", "/policy/stages/1", "cumulative"},
      {R"({"stages":[{"percent":50},{"percent":50}]})", "/policy/stages/1", "cumulative"},
      {R"({"stages":[{"devices":50},{"devices":49}]})", "/policy/stages/1", "cumulative"},
      stage(R"("percent":50,"bake":"soon")", "/bake", ""),
      stage(R"("percent":50,"bake":"367d")", "/bake", "between 0 and 366d"),
      stage(R"("percent":50,"backe":"5m")", "/backe", "did you mean 'bake'"),
      stage(R"("percent":50,"window":0)", "/window", "not between 1"),
      stage(R"("percent":50,"window":10,"grow":0.5)", "/grow", "of at least 1 and at most 10, got 0.5"),
      stage(R"("percent":50,"window":10,"grow":11)", "/grow", "got 11"),
      stage(R"("percent":50,"window":10,"grow":"2")", "/grow", "expected a number"),
      stage(R"("percent":50,"grow":2)", "/grow", "name `window`"),
      stage(R"("percent":50,"every":"often")", "/every", ""),
      stage(R"("percent":50,"cap":"40%")", "/cap", "below the stage's own size"),
      stage(R"("devices":50,"cap":40)", "/cap", "below the stage's own size"),
      stage(R"("percent":50,"cap":"120%")", "/cap", "share up to 100%"),
      stage(R"("percent":50,"cap":0)", "/cap", "not between 1"),
      stage(R"("percent":50,"cap":true)", "/cap", "whole number"),
  });
}

TEST_CASE("a wrong gate is refused at its place") {
  auto const absolute = [](std::string const& keys, std::string const& at, std::string words) {
    return gates(R"("absolute":[{)" + keys + "}]", "/absolute/0" + at, std::move(words));
  };
  check_refused({
      gates(R"("failure":{})", "/failure", "did you mean 'failures'"),
      gates(R"("failures":[])", "/failures", "expected an object"),
      gates(R"("failures":{"max_odds_ratio":1})", "/failures/max_odds_ratio", "above 1 and at most 1000000, got 1"),
      gates(R"("failures":{"max_odds_ratio":-3})", "/failures/max_odds_ratio", "got -3"),
      gates(R"("failures":{"max_odds_ratio":[5,0.5]})", "/failures/max_odds_ratio/1", "got 0.5"),
      gates(R"("failures":{"max_odds_ratio":["5"]})", "/failures/max_odds_ratio/0", "expected a number"),
      gates(R"("failures":{"max_odds_ratio":"5"})", "/failures/max_odds_ratio", "expected a number, or a list"),
      gates(R"("failures":{"max_odds_ratio":[]})", "/failures/max_odds_ratio", "at least one"),
      gates(R"("failures":{"max_odds_ratio":[)" + many("5") + "]}", "/failures/max_odds_ratio", "at most 64"),
      gates(R"("failures":{"alternatives":[2,1]})", "/failures/alternatives/1", "above 1"),
      gates(R"("failures":{"alternatives":[]})", "/failures/alternatives", "at least one"),
      gates(R"("failures":{"harm_alpha":0})", "/failures/harm_alpha", "above 0 and at most 0.01, got 0"),
      gates(R"("failures":{"harm_alpha":0.4})", "/failures/harm_alpha", "got 0.4"),
      gates(R"("failures":{"harm_alfa":0.004})", "/failures/harm_alfa", "did you mean 'harm_alpha'"),
      gates(R"("failures":{},"silent":{"harm_alpha":0.007})", "", "0.011 together (failures 0.004, silent 0.007), at most 0.01"),
      gates(R"("silent":{"after_reports":0})", "/silent/after_reports", "not between 1"),
      gates(R"("silent":{"devices_max":"-5%"})", "/silent/devices_max", "no share"),
      absolute(R"("metric":"accuracy")", "/metric", "min or max"),
      absolute(R"("min":2)", "/metric", "is required"),
      absolute(R"("metric":"a","min":2,"max":1)", "/max", "1 is below min, 2"),
      absolute(R"("metric":"a","min":"2")", "/min", "expected a number"),
      absolute(R"("metric":"a","min":2,"devices_max":"200%")", "/devices_max", "share"),
      absolute(R"("metric":"a","min":2,"devices_max":"%")", "/devices_max", "share"),
      absolute(R"("metric":"a","min":2,"devices_max":0.02)", "/devices_max", "text, such as 2%"),
      absolute(R"("metric":"a","min":2,"block":"1ms")", "/block", "at least 1s"),
      absolute(R"("metric":"a","min":2,"blocks":0)", "/blocks", "not between 1"),
      absolute(R"("metric":"a","min":2,"samples":-1)", "/samples", "not between 1"),
      absolute(R"("metric":"a","min":2,"alpha":0.02)", "/alpha", "at most 0.01, got 0.02"),
      absolute(R"("metric":"agent.install_failure","min":2)", "/min", "devices_max and alpha alone"),
      absolute(R"("metric":"agent.install_failure","samples":2)", "/samples", "devices_max and alpha alone"),
      gates(R"("absolute":[{"metric":"a","min":2},{"metric":"a","min":3}])", "/absolute/1/metric", "already"),
      gates(R"("absolute":[)" + many(R"({"metric":"a","min":2})") + "]", "/absolute", "at most 64"),
      gates(R"("certify":{"devices_max":["60"]})", "/certify/devices_max/0", "share"),
      gates(R"("certify":{"devices_max":[]})", "/certify/devices_max", "one a stage"),
      gates(R"("certify":{})", "/certify/devices_max", "one a stage"),
      gates(R"("certify":{"devices_max":["60%"],"evidence":1})", "/certify/evidence", "above 1"),
      gates(R"("metrics":[{}])", "/metrics/0/name", "is required"),
      gates(R"("metrics":[{"name":"a","quantile":0}])", "/metrics/0/quantile", "above 0 and below 1, got 0"),
      gates(R"("metrics":[{"name":"a","quantile":0.9999999999999}])", "/metrics/0/quantile", "below 1, got 1"),
      gates(R"("metrics":[{"name":"a","quantile":95}])", "/metrics/0/quantile", "got 95"),
      gates(R"("metrics":[{"name":"a","worse":"bigger"}])", "/metrics/0/worse", "higher or lower, got 'bigger'"),
      gates(R"("metrics":[{"name":"a","margin":"-1%"}])", "/metrics/0/margin", "share"),
      gates(R"("metrics":[{"name":"a"},{"name":"a"}])", "/metrics/1/name", "already"),
      gates(R"("metrics":[{"name":"agent.install_failure"}])", "/metrics/0/name", "no measurement"),
      gates(R"("drift":{})", "/drift/metrics", "names of metrics"),
      gates(R"("drift":{"metrics":["a","a"]})", "/drift/metrics", "named twice"),
      gates(R"("drift":{"metrics":["a"],"action":"stop"})", "/drift/action", "pause or rollback, got 'stop'"),
  });
}

TEST_CASE("what is wrong elsewhere is refused at its place") {
  auto const window = [](std::string const& keys, std::string const& at, std::string words) {
    return term(R"("windows":[{)" + keys + "}]", "/windows/0" + at, std::move(words));
  };
  check_refused({
      term(R"("gate":{})", "/gate", "did you mean 'gates'"),
      term(R"("on_harm":"explode")", "/on_harm", "rollback or pause"),
      term(R"("on_deadline":7)", "/on_deadline", "expected a text"),
      term(R"("control":{"per_canary":10})", "/control/per_canary", "not between 0 and 9"),
      term(R"("control":{"per_canary":-1})", "/control/per_canary", "not between 0 and 9"),
      term(R"("gates":{"failures":{}},"control":{"per_canary":0})", "/control/per_canary", "leaves gate 'failures' nothing"),
      term(R"("gates":{"drift":{"metrics":["a"]}},"control":{"per_canary":0})", "/control/per_canary", "leaves gate 'drift' nothing"),
      term(R"("device":{"give_up":"0"})", "/device/give_up", "at least 1m"),
      term(R"("device":{"give_up":"9000d"})", "/device/give_up", "366d"),
      term(R"("device":{"waiting_max":"soon"})", "/device/waiting_max", ""),
      term(R"("device":{"metered":"rarely"})", "/device/metered", "allow, avoid or never, got 'rarely'"),
      term(R"("device":{"metered_max":"20 parsecs"})", "/device/metered_max", ""),
      term(R"("device":{"metered_max":"9999999TiB"})", "/device/metered_max", ""),
      term(R"("device":{"battery_min":"30.5%"})", "/device/battery_min", "whole percents, got 30.5"),
      term(R"("device":{"charging":"yes"})", "/device/charging", "true or false"),
      term(R"("device":{"temperature_max":900})", "/device/temperature_max", "at most 200, got 900"),
      term(R"("device":{"load_max":0})", "/device/load_max", "above 0 and at most 1000, got 0"),
      term(R"("device":{"memory_free_min":-1})", "/device/memory_free_min", ""),
      term(R"("device":{"disk_free_min":"plenty"})", "/device/disk_free_min", ""),
      term(R"("limits":{"egress":"fast"})", "/limits/egress", "1Mbit/s"),
      term(R"("limits":{"at_once":2})", "/limits/at_once", "name the label with `per`"),
      term(R"("limits":{"per":"no space"})", "/limits/per", "not allowed"),
      term(R"("limits":{"per":"site","at_once":0})", "/limits/at_once", "not between 1"),
      term(R"("strata":["no space"])", "/strata", "not allowed"),
      term(R"("strata":["a","b","a"])", "/strata", "'a' is named twice"),
      window(R"("zone":"UTC","from":"25:00","to":"05:00")", "/from", "HH:MM"),
      window(R"("zone":"UTC","from":"01:00","to":"05:00","days":["monday"])", "/days", "write mon, tue"),
      window(R"("zone":"UTC","from":"01:00","to":"05:00","gates":"none")", "/gates", "switch, download or both"),
      term(R"("freeze":[{"from":"2026-12-20T00:00:00Z"}])", "/freeze/0/to", "is required"),
      term(R"("freeze":[{"from":"2026-12-20T00:00:00Z","to":"2026-12-20T00:00:00Z"}])", "/freeze/0/to", "is not after from"),
      term(R"("freeze":[{"from":"christmas","to":"2026-12-20T00:00:00Z"}])", "/freeze/0/from", ""),
      term(R"("start_at":"tomorrow")", "/start_at", ""),
      term(R"("approvals":{"required":1,"before_stage":2})", "/approvals/before_stage", "between 1 and 1"),
      term(R"("holdback":"60%")", "/holdback", "up to 50 %"),
      term(R"("holdback":5)", "/holdback", "such as 5%"),
      term(R"("priority":1001)", "/priority", "not between"),
      term(R"("emergency":"yes")", "/emergency", "true or false"),
      term(R"("emergency":true)", "/emergency", "no gate would stop harm"),
      term(R"("ab":{"against":"reader@1.4.0"})", "/stages", "instead of stages"),
      {R"({"ab":{}})", "/policy/ab/against", "is required"},
      {R"({"ab":{"against":"reader"}})", "/policy/ab/against", "MODEL@VERSION"},
      {R"({"ab":{"against":"Reader@1.4.0"}})", "/policy/ab/against", ""},
      {R"({"ab":{"against":"reader@latest"}})", "/policy/ab/against", ""},
      {R"({"ab":{"against":"reader@1","share":"100%"}})", "/policy/ab/share", "and 100%"},
      {R"({"ab":{"against":"reader@1"},"gates":{"silent":{}},"emergency":true})", "/policy/emergency", "no test"},
      {R"({"ab":{"against":"reader@1"}})", "/policy/ab", "no gate compares"},
      {R"({"ab":{"against":"reader@1"},"gates":{"drift":{"metrics":["a"]}}})", "/policy/ab", "no gate compares"},
      {R"({"ab":{"against":"reader@1"},"gates":{"silent":{}},"holdback":"5%"})", "/policy/holdback", "nobody the release"},
      {R"({"ab":{"against":"reader@1"},"gates":{"silent":{},"certify":{"devices_max":["5%"]}}})", "/policy/gates/certify", "no stage to pass"},
      {R"({"ab":{"against":"reader@1"},"gates":{"failures":{"max_odds_ratio":5}}})", "/policy/gates/failures/max_odds_ratio", "no stage to pass"},
      {R"({"ab":{"against":"reader@1","deadline":"0s"},"gates":{"silent":{}}})", "/policy/ab/deadline", "a test ends"},
      {R"({"ab":{"against":"reader@1","bake":"20d"},"gates":{"silent":{}}})", "/policy/ab/deadline", "nothing would be compared"},
      {R"("reckless")", "/policy", "no preset"},
  });
}

TEST_CASE("one answer names every fault") {
  auto const policy = decode_policy(R"({"stages":[{"percent":0}],"gates":{"silent":{"after_reports":0}},"on_harm":"x","colour":1})");
  REQUIRE_FALSE(policy.has_value());
  CHECK(policy.error().errors.size() == 4);
}
