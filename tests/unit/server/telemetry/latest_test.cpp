#include "server/telemetry/latest.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::telemetry;

namespace {

SysTime const kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + std::chrono::hours{9}};

wire::MetricsItem item(SysTime until, std::vector<wire::MetricsItem::Metric> metrics) { return {until - seconds{60}, until, "reader", std::string(64, 'a'), std::move(metrics)}; }
wire::MetricsItem::Metric gauge(std::string name, double value) { return {std::move(name), "g", 1, value, value, value, {}}; }
wire::MetricsItem::Metric flagged(wire::MetricsItem::Metric metric, wire::Flag flag, std::int64_t many) {
  metric.flagged[flag] = many;
  return metric;
}
wire::MetricsItem::Metric nothing(std::string name) { return {std::move(name), "g", 0, 0, 0, 0, {}}; }

std::string types(std::vector<Change> const& changes) {
  std::string out;
  for (auto const& one : changes) out += (out.empty() ? "" : ",") + std::string(one.type);
  return out;
}

}  // namespace

TEST_CASE("what came last stands: of samples their mean, of a counter its sum, of a gauge itself; an older interval changes nothing") {
  Latest latest;
  latest.take(item(kNow, {gauge("temperature", 20), {"accuracy", "d", 4, 3, 0, 1, {}}, {"inferences", "c", 2, 70, 20, 50, {}}}), "1.0.0", kNow);
  latest.take(item(kNow - seconds{120}, {gauge("temperature", 99)}), "0.9.0", kNow);
  REQUIRE(latest.values.size() == 3);
  CHECK(latest.values[0].metric == "accuracy");
  CHECK(latest.values[0].value.value_or(-1) == .75);
  CHECK(latest.values[1].value.value_or(-1) == 70);
  CHECK(latest.values[2].value.value_or(-1) == 20);
  CHECK(latest.values[2].version == "1.0.0");
  latest.take(item(kNow + seconds{60}, {gauge("temperature", 21)}), "2.0.0", kNow + seconds{60});
  CHECK(latest.values[2].value.value_or(-1) == 21);
  CHECK(latest.values[2].version == "2.0.0");
}

TEST_CASE("what counts for nothing is flagged, keeps the last value that counted, and is told once; flapping is told once an hour") {
  Latest latest;
  latest.take(item(kNow, {gauge("temperature", 20)}), "1.0.0", kNow);
  CHECK(take_changes(latest, kNow).empty());
  auto at = kNow + seconds{60};
  latest.take(item(at, {flagged(nothing("temperature"), wire::Flag::stuck, 12)}), "1.0.0", at);
  CHECK(latest.values[0].flag == "stuck");
  CHECK(latest.values[0].value.value_or(-1) == 20);
  CHECK(latest.values[0].since == at);
  auto const changes = take_changes(latest, at);
  REQUIRE(types(changes) == "device.sensor_flagged");
  CHECK(changes[0].data == R"({"metric":"temperature","model":"reader","version":"1.0.0","flag":"stuck","since":"2026-11-20T09:01:00Z"})");
  std::string told;
  for (int i = 0; i < 120; ++i) {  // two hours of a sensor that comes and goes
    at += seconds{60};
    latest.take(item(at, {i % 2 == 0 ? gauge("temperature", i) : flagged(nothing("temperature"), wire::Flag::stuck, 12)}), "1.0.0", at);
    told += types(take_changes(latest, at));
  }
  CHECK_MESSAGE(told == "device.sensor_clear", told);
  at += std::chrono::hours{1};
  CHECK(types(take_changes(latest, at)) == "device.sensor_flagged");
  latest.take(item(at, {flagged({"accuracy", "d", 40, 30, 0, 1, {}}, wire::Flag::out_of_range, 39)}), "1.0.0", at);
  CHECK_MESSAGE(latest.values[0].flag.empty(), "most of them count");
}

TEST_CASE("a metric that never had a sample that counts has no value") {
  Latest latest;
  latest.take(item(kNow, {flagged({"door", "", 0, 0, 0, 0, {}}, wire::Flag::missing, 1)}), "1.0.0", kNow);
  CHECK(latest.values[0].flag == "missing");
  CHECK_FALSE(latest.values[0].value.has_value());
}

TEST_CASE("a device has room for so many; what is beyond is counted, and takes the place of what was silent for a day, or is gone after a week") {
  Latest latest;
  for (int i = 0; i < 70; ++i) latest.take(item(kNow, {gauge(fmt::format("m{:02}", i), i)}), "1.0.0", kNow);
  CHECK(latest.values.size() == kLatestMax);
  CHECK(latest.other == 6);
  auto const later = kNow + std::chrono::hours{25};
  latest.take(item(later, {gauge("late", 1)}), "1.0.0", later);
  CHECK(latest.values.size() == kLatestMax);
  CHECK(latest.other == 6);
  CHECK(std::any_of(latest.values.begin(), latest.values.end(), [](auto const& one) { return one.metric == "late"; }));
  auto const much_later = kNow + std::chrono::days{8};
  latest.take(item(much_later, {gauge("late", 2)}), "1.0.0", much_later);
  CHECK(latest.values.size() == 1);
}

TEST_CASE("a clock that is off by more than minutes says of no sample when it was taken, and people are told of the device, not of each metric") {
  CHECK(skew_of(kNow + std::chrono::minutes{5}, kNow) == Millis{0});
  CHECK(skew_of(kNow - std::chrono::minutes{6}, kNow) == -std::chrono::minutes{6});
  CHECK_FALSE(is_ahead(item(kNow + std::chrono::minutes{4}, {}), kNow));
  CHECK(is_ahead(item(kNow + std::chrono::minutes{6}, {}), kNow));
  auto const without = without_time(item(from_unix_ms(0), {flagged({"accuracy", "d", 4, 3, 0, 1, {{0, 4}}}, wire::Flag::stuck, 1)}), kNow);
  CHECK(without.since == kNow);
  CHECK(without.metrics[0].count == 0);
  CHECK(without.metrics[0].sum == 0);
  CHECK(without.metrics[0].buckets.empty());
  CHECK(without.metrics[0].flagged == wire::Flagged{{1, 0, 0, 4}});
  Latest latest;
  latest.take(without, "1.0.0", kNow);
  latest.skew = -std::chrono::hours{3};
  CHECK(latest.values[0].flag == "clock_skewed");
  auto const changes = take_changes(latest, kNow);
  REQUIRE(types(changes) == "device.clock_skewed");
  CHECK(changes[0].data == R"({"ahead_s":-10800})");
  CHECK(take_changes(latest, kNow + std::chrono::hours{2}).empty());
  latest.skew = Millis{0};
  CHECK(types(take_changes(latest, kNow + std::chrono::hours{2})) == "device.clock_right");
}
