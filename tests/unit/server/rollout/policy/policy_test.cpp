#include "server/rollout/policy/policy.hpp"

#include "tests/unit/server/rollout/policy/whole_policy.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fleet;
using namespace fleet::rollout;

namespace {

Policy good(std::string_view text) {
  auto const policy = decode_policy(text);
  REQUIRE_MESSAGE(policy.has_value(), (policy ? std::string() : policy.error().detail));
  return *policy;
}

}  // namespace

TEST_CASE("every key of stages and gates is read") {
  auto const policy = good(kWholePolicy);
  REQUIRE(policy.stage_count() == 3);
  auto const& first = policy.stage(1);
  CHECK(first.size == Amount{{}, 10});
  CHECK(first.window == 4);
  CHECK(first.every == std::chrono::hours(2));
  CHECK(first.grow == 1.5);
  CHECK(first.cap == Amount{{}, 40});
  CHECK(first.bake == Millis(1000));
  CHECK(first.min_devices == 4);
  CHECK(first.deadline == std::chrono::hours(24));
  CHECK(policy.stage(2).size == Amount{50., {}});
  CHECK(policy.stage(2).cap == Amount{90., {}});
  CHECK(policy.stage(3).is_whole());
  REQUIRE(policy.failures.has_value());
  CHECK(policy.odds_ratio_at(2) == 3.);
  CHECK(policy.odds_ratio_at(9) == 2.5);
  CHECK(policy.failures->alternatives == std::vector<double>{2, 4, 50});
  CHECK(policy.silent == SilentGate{4, .07, .002});
  CHECK(policy.absolute == std::vector<AbsoluteGate>{{"agent.install_failure", {}, {}, .2, std::chrono::hours(1), 12, 120, .002},
                                                      {"accuracy", .9, 1., .025, std::chrono::minutes(10), 6, 50, {}}});
  CHECK(policy.metrics == std::vector<MetricGate>{{"latency_ms", .95, true, .05}, {"confidence", {}, false, 0}});
  CHECK(policy.drift == DriftGate{{"confidence", "light"}, true});
  CHECK(policy.certify == std::vector<double>{.6, .2, .12});
  CHECK(policy.certify_at(1) == .6);
  CHECK(policy.certify_at(9) == .12);
  CHECK(policy.certify_evidence == 6);
  CHECK(policy.controls == 5);
  CHECK(harm_budget(policy) == doctest::Approx(.01));
}

TEST_CASE("every other key is read") {
  auto const policy = good(kWholePolicy);
  CHECK(policy.on_harm == OnHarm::pause);
  CHECK(policy.on_deadline == OnDeadline::rollback);
  CHECK(policy.device.battery_min_percent == 30);
  CHECK(policy.device.metered == "avoid");
  CHECK(policy.device.metered_max_bytes == 20 * 1024 * 1024);
  CHECK(policy.device.charging);
  CHECK(policy.device.temperature_max == 70.5);
  CHECK(policy.device.load_max == .8);
  CHECK(policy.device.memory_free_min == 64 * 1024 * 1024);
  CHECK(policy.device.disk_free_min == 200 * 1024 * 1024);
  CHECK(policy.device.attempts == 4);
  CHECK(policy.device.give_up == std::chrono::hours{12});
  CHECK(policy.device.waiting_max == std::chrono::hours{48});
  CHECK(policy.in_flight == 500);
  CHECK(policy.egress == 25'000'000);
  CHECK(policy.per_place == PlaceLimit{"site", 2});
  CHECK(policy.strata == std::vector<std::string>{"hardware", "region"});
  CHECK(policy.windows.at(0).zone == "Europe/Berlin");
  REQUIRE(policy.freeze.size() == 1);
  CHECK(to_rfc3339(policy.freeze[0].to, true) == "2027-01-03T00:00:00.250Z");
  REQUIRE(policy.start_at.has_value());
  CHECK(to_rfc3339(*policy.start_at) == "2026-11-20T09:30:00Z");
  CHECK(policy.approvals_before_stage == 2);
  CHECK(policy.holdback == .05);
  CHECK(policy.priority == -3);
  CHECK(policy.emergency);
}

TEST_CASE("a test of two releases comes instead of stages") {
  auto const policy = good(kWholeTest);
  CHECK(policy.ab == AbTest{"reader@1.4.0", .2});
  REQUIRE(policy.stage_count() == 1);
  CHECK(policy.stage(1).size.percent == doctest::Approx(20));
  CHECK(policy.stage(1).deadline == std::chrono::hours(24 * 14));
  CHECK(policy.stage(1).bake == std::chrono::hours(12));
  CHECK(part_of_alpha(policy) == .5);
  auto const measured = good(R"({"ab": {"against": "reader@1.4.0", "window": 7, "every": "0s", "grow": 1}, "gates": {"metrics": [{"name": "accuracy", "worse": "lower"}]}})");
  CHECK(measured.ab->share == .5);
  CHECK(measured.stage(1).window == 7);
  CHECK(measured.stage(1).every == Millis(0));
  CHECK(measured.stage(1).bake == std::chrono::hours(24));  // what devices measure takes time
  CHECK(good(encode(measured)) == measured);
}

TEST_CASE("what is left out has the defaults") {
  auto const policy = good(R"({"stages": [{"percent": 100}], "gates": {"failures": {}, "silent": {}, "absolute": [{"metric": "a", "min": 2}]}})");
  CHECK(policy.failures == FailuresGate{});
  CHECK(policy.silent == SilentGate{});
  CHECK(policy.absolute.at(0).block == std::chrono::hours(1));
  CHECK(policy.absolute[0].blocks == 12);
  CHECK(policy.absolute[0].samples == 120);
  CHECK(policy.controls == 9);
  CHECK_FALSE(policy.odds_ratio_at(1).has_value());
  auto plain = good(R"({"stages": [{"percent": 100}]})");
  Policy expected;
  expected.stages = {StageSpec{Amount{100., {}}}};
  CHECK(plain == expected);
}

TEST_CASE("one number stands for a list of one, a share of certify too") {
  auto const policy = good(R"({"stages": [{"percent": 100}], "gates": {"failures": {"max_odds_ratio": 4}, "certify": {"devices_max": "60%"}}})");
  CHECK(policy.odds_ratio_at(3) == 4.);
  CHECK(policy.certify == std::vector<double>{.6});
}

TEST_CASE("absolute gates that name no alpha share theirs") {
  auto const policy = good(R"({"stages": [{"percent": 100}],
    "gates": {"absolute": [{"metric": "a", "min": 1}, {"metric": "b", "min": 1}, {"metric": "c", "min": 1, "alpha": 0.002}]}})");
  CHECK(alpha_of(policy, policy.absolute[0]) == doctest::Approx(.0005));
  CHECK(alpha_of(policy, policy.absolute[2]) == doctest::Approx(.002));
  CHECK(harm_budget(policy) == doctest::Approx(.003));
}

TEST_CASE("canaries get controls where a gate looks at both; a guardrail on a metric does, one on failed updates does not") {
  auto const compares = [](std::string const& gates, std::string const& more = "") { return decode_policy(R"({"stages":[{"percent":100}],"gates":)" + gates + more + "}")->compares(); };
  CHECK(compares(R"({"failures":{}})"));
  CHECK(compares(R"({"absolute":[{"metric":"accuracy","min":0.9}]})"));
  CHECK_FALSE(compares(R"({"absolute":[{"metric":"accuracy","min":0.9}]})", R"(,"control":{"per_canary":0})"));
  CHECK_FALSE(compares(R"({"absolute":[{"metric":"agent.install_failure"}]})"));
}

TEST_CASE("the canonical form reads back to the same policy") {
  for (std::string const& text : {
           std::string(kWholePolicy),
           std::string(kWholeTest),
           std::string(R"("cautious")"),
           std::string(R"("standard")"),
           std::string(R"("fast")"),
           std::string(R"("small-fleet")"),
           std::string(R"({"stages":[{"devices":20},{"percent":12.5}]})"),
           std::string(R"({"stages":[{"percent":"0.00123%","cap":"33.333333333333336%"}],"holdback":"7.000000000001%"})"),
           std::string(R"({"stages":[{"percent":100}],"gates":{"certify":{"devices_max":["1e-7%","99.999999999999%","7%","0.3%","14.3%","28.999%"]}}})"),
           std::string(R"({"stages":[{"percent":100}],"gates":{"absolute":[{"metric":"a","max":-1e-9},{"metric":"b","min":123456789.125}]}})"),
           std::string(R"({"stages":[{"percent":"0.00123003333333333333333%"}],"gates":{"failures":{"alternatives":[1.23456789012345678,2.718281828459045]}}})"),
           std::string(R"({"stages":[{"percent":100}],"control":{"per_canary":0},"strata":[]})"),
           std::string(R"({"stages":[{"percent":100}],"device":{"temperature_max":0,"load_max":0.000001,"charging":false}})"),
           std::string(R"({"stages":[{"percent":100}],"approvals":{"required":0}})"),
           std::string(R"({"stages":[{"percent":100}],"limits":{"egress":"1kbit/s","per":"site"}})"),
           std::string(R"({"stages":[{"percent":100}],"gates":{"metrics":[{"name":"a"},{"name":"a","quantile":0.5}]}})"),
       }) {
    CAPTURE(text);
    auto const policy = good(text);
    auto const canonical = encode(policy);
    CAPTURE(canonical);
    auto const again = good(canonical);
    CHECK(again == policy);
    CHECK(encode(again) == canonical);
  }
}

TEST_CASE("a policy that is no JSON is refused") {
  CHECK_FALSE(decode_policy("{").has_value());
  CHECK_FALSE(decode_policy("[]").has_value());
  CHECK_FALSE(decode_policy("null").has_value());
  CHECK_FALSE(decode_policy(R"({"stages":[{"percent":NaN}]})").has_value());
  CHECK_FALSE(decode_policy(R"({"stages":[{"percent":1e999}]})").has_value());
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
