#include "server/rollout/policy/policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

constexpr std::string_view kWhole = R"({
  "stages": [{"percent": 10, "bake": "1s", "min_devices": 4, "deadline": "24h"}, {"percent": "50%"}, {"percent": 100}],
  "gates": {"silent": {"after_reports": 3}, "absolute": [{"metric": "agent.install_failure", "devices_max": "2%"}, {"metric": "accuracy", "min": 0.90, "samples": 50, "devices_max": "2%"}],
            "certify": {"devices_max": ["60%", "20%", "12%"]}},
  "on_harm": "rollback", "on_deadline": "pause",
  "device": {"battery_min": "30%", "metered": "avoid", "metered_max": "20MiB", "attempts": 4, "give_up": "12h", "waiting_max": "2d"},
  "limits": {"in_flight": 500}, "strata": ["hardware", "region"],
  "windows": [{"zone": "Europe/Berlin", "days": ["mon", "fri"], "from": "01:00", "to": "05:00", "gates": "switch"}],
  "approvals": {"required": 1, "before_stage": 2}, "holdback": "0%"})";

}  // namespace

TEST_CASE("every key of a policy is read") {
  auto const policy = decode_policy(kWhole);
  REQUIRE(policy.has_value());
  CHECK(policy->stage_count() == 3);
  CHECK(policy->stage(1).percent == 10.);
  CHECK(policy->stage(1).bake == Millis(1000));
  CHECK(policy->stage(1).deadline == std::chrono::hours(24));
  CHECK(policy->stage(2).percent == 50.);
  REQUIRE(policy->absolute.size() == 2);
  CHECK(policy->absolute[1].min == .90);
  CHECK(policy->absolute[1].samples == 50);
  CHECK(policy->absolute[1].devices_max == doctest::Approx(.02));
  CHECK(policy->certify_at(1) == doctest::Approx(.60));
  CHECK(policy->certify_at(3) == doctest::Approx(.12));
  CHECK(policy->device.battery_min_percent == 30);
  CHECK(policy->device.metered_max_bytes == 20 * 1024 * 1024);
  CHECK(policy->device.attempts == 4);
  CHECK(policy->device.give_up == std::chrono::hours{12});
  CHECK(policy->device.waiting_max == std::chrono::hours{48});
  CHECK(policy->in_flight == 500);
  CHECK(policy->windows.at(0).zone == "Europe/Berlin");
  CHECK(policy->approvals_before_stage == 2);
}

TEST_CASE("the canonical form reads back to itself, for policies and presets") {
  for (std::string const& text : {std::string(kWhole), std::string(R"("cautious")"), std::string(R"("standard")"), std::string(R"("fast")"),
                                  std::string(R"("small-fleet")"), std::string(R"({"stages":[{"devices":20},{"percent":12.5}]})")}) {
    CAPTURE(text);
    auto const policy = decode_policy(text);
    REQUIRE(policy.has_value());
    auto const canonical = encode(*policy);
    auto const again = decode_policy(canonical);
    REQUIRE(again.has_value());
    CHECK(encode(*again) == canonical);
  }
}

TEST_CASE("a wrong policy is refused at its place") {
  struct Case {
    std::string text, pointer, words;
  };
  for (auto const& c : {
           Case{R"({})", "/policy/stages", "required"},
           {R"({"stages":[]})", "/policy/stages", "at least one"},
           {R"({"stages":7})", "/policy/stages", "list"},
           {R"({"stages":[{}]})", "/policy/stages/0", "either"},
           {R"({"stages":[{"percent":5,"devices":3}]})", "/policy/stages/0", "either"},
           {R"({"stages":[{"percent":0}]})", "/policy/stages/0/percent", "above 0"},
           {R"({"stages":[{"percent":"101%"}]})", "/policy/stages/0/percent", "at most 100"},
           {R"({"stages":[{"percent":"ten"}]})", "/policy/stages/0/percent", "percentage"},
           {R"({"stages":[{"percent":50},{"percent":20}]})", "/policy/stages/1", "cumulative"},
           {R"({"stages":[{"percent":50,"bake":"soon"}]})", "/policy/stages/0/bake", ""},
           {R"({"stages":[{"percent":50,"backe":"5m"}]})", "/policy/stages/0/backe", "did you mean 'bake'"},
           {R"({"stages":[{"percent":100}],"device":{"give_up":"0"}})", "/policy/device/give_up", "at least 1m"},
           {R"({"stages":[{"percent":100}],"device":{"give_up":"9000d"}})", "/policy/device/give_up", "366d"},
           {R"({"stages":[{"percent":100}],"device":{"waiting_max":"soon"}})", "/policy/device/waiting_max", ""},
           {R"({"stages":[{"percent":100}],"gate":{}})", "/policy/gate", "did you mean 'gates'"},
           {R"({"stages":[{"percent":100}],"gates":{"failures":{"harm_alpha":0.004}}})", "/policy/gates/failures", "not built yet"},
           {R"({"stages":[{"percent":100}],"gates":{"metrics":[]}})", "/policy/gates/metrics", "not built yet"},
           {R"({"stages":[{"percent":100}],"gates":{"drift":{"metrics":["c"]}}})", "/policy/gates/drift", "not built yet"},
           {R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"accuracy"}]}})", "/policy/gates/absolute/0/metric", "min or max"},
           {R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"a","min":2,"max":1}]}})", "/policy/gates/absolute/0/max", "below min"},
           {R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"a","min":2},{"metric":"a","min":3}]}})", "/policy/gates/absolute/1/metric",
            "already"},
           {R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"a","min":2,"devices_max":"200%"}]}})", "/policy/gates/absolute/0/devices_max",
            "share"},
           {R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"a","min":2,"devices_max":0.02}]}})", "/policy/gates/absolute/0/devices_max", "text"},
           {R"({"stages":[{"percent":100}],"gates":{"certify":{"devices_max":["60"]}}})", "/policy/gates/certify/devices_max", "share"},
           {R"({"stages":[{"percent":100}],"on_harm":"explode"})", "/policy/on_harm", "rollback or pause"},
           {R"({"stages":[{"percent":100}],"holdback":"60%"})", "/policy/holdback", "up to 50 %"},
           {R"({"stages":[{"percent":100}],"limits":{"egress":"fast"}})", "/policy/limits/egress", "1Mbit/s"},
           {R"({"stages":[{"percent":100}],"approvals":{"required":1,"before_stage":2}})", "/policy/approvals/before_stage", "between 1 and 1"},
           {R"({"stages":[{"percent":100}],"device":{"metered":"rarely"}})", "/policy/device/metered", "allow, avoid or never"},
           {R"({"stages":[{"percent":100}],"windows":[{"zone":"UTC","from":"25:00","to":"05:00"}]})", "/policy/windows/0/from", "HH:MM"},
           {R"({"stages":[{"percent":100}],"strata":["no space"]})", "/policy/strata", "not allowed"},
           {R"("reckless")", "/policy", "no preset"},
       }) {
    CAPTURE(c.text);
    auto const policy = decode_policy(c.text, "/policy");
    REQUIRE_FALSE(policy.has_value());
    auto const error = policy.error();
    CHECK(error.code == "bad_policy");
    auto const named = std::find_if(error.errors.begin(), error.errors.end(), [&](FieldError const& e) { return e.pointer == c.pointer; });
    REQUIRE_MESSAGE(named != error.errors.end(), error.detail);
    CHECK_MESSAGE(named->detail.find(c.words) != std::string::npos, named->detail);
  }
}

TEST_CASE("a policy that is no JSON is refused") {
  CHECK_FALSE(decode_policy("{").has_value());
  CHECK_FALSE(decode_policy("[]").has_value());
  CHECK_FALSE(decode_policy("null").has_value());
}

TEST_CASE("a policy that is written now names time zones that there are; one that was kept is read all the same") {
  auto const with = [](std::string const& zone) {
    return R"({"stages":[{"percent":100}],"windows":[{"zone":"Europe/Berlin","from":"01:00","to":"05:00"},{"zone":")" + zone +
           R"(","from":"01:00","to":"05:00"}]})";
  };
  CHECK(take_policy(system_fs(), with("America/New_York"), "/policy").has_value());
  for (auto const* const zone : {"Europe/Berln", "Berlin", "UTC+2", "local", "localtime", "europe/berlin"}) {
    CAPTURE(zone);
    auto const policy = take_policy(system_fs(), with(zone), "/policy");
    REQUIRE_FALSE(policy.has_value());
    CHECK(policy.error().code == "bad_policy");
    REQUIRE(policy.error().errors.size() == 1);
    CHECK(policy.error().errors[0].pointer == "/policy/windows/1/zone");
    CHECK(decode_policy(with(zone)).has_value());
  }
}
