#include "agent/telemetry/quality.hpp"

#include "agent/telemetry/collector.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kDigest(64, 'a');
std::string const kNext(64, 'b');

struct Device {
  FakeClock clock{from_unix_ms(1'700'000'000'000)};
  Collector collector;
  explicit Device(OwnerRules owner = {}, MetricRules declared = {}) : collector(clock, std::move(owner)) {
    collector.running("reader", kDigest);
    collector.declare(kDigest, std::move(declared));
  }
  void send(std::string const& sample, std::string const& digest = kDigest) { collector.take(fmt::format("{}|#release:{}", sample, digest)); }
  /// A sample every `every`.
  void send_all(std::string const& metric, std::vector<double> const& values, Millis every = std::chrono::seconds{10}) {
    for (auto const value : values) {
      send(fmt::format("{}:{}|d", metric, value));
      clock.advance(every);
    }
  }
  /// What the interval came to; nothing: it was not told.
  std::optional<wire::MetricsItem::Metric> told(std::string const& name) {
    for (auto const& item : collector.drain())
      for (auto const& metric : item.metrics)
        if (metric.name == name) return metric;
    return std::nullopt;
  }
};

wire::MetricSchema in(double lo, double hi) { return {{}, wire::MetricSchema::Range{lo, hi}}; }
wire::MetricSchema varies(Millis time) {
  wire::MetricSchema out;
  out.varies = time;
  return out;
}
wire::MetricSchema every(Millis time) {
  wire::MetricSchema out;
  out.every = time;
  return out;
}

std::int64_t many(std::optional<wire::MetricsItem::Metric> metric, wire::Flag flag) { return metric ? metric->flagged[flag] : -1; }

}  // namespace

TEST_CASE("samples beyond what a metric lies between are counted, and are in no sum, sketch or health check") {
  Device device({}, {{"accuracy", in(0, 1)}});
  Collector::Watched const watched{"accuracy", std::chrono::minutes{5}};
  device.collector.watch(kDigest, {watched});
  device.send_all("accuracy", {.9, 7, .8, -1e9, 1});
  CHECK(device.collector.stat(kDigest, watched, "min", 3) == .8);
  CHECK_FALSE(device.collector.stat(kDigest, watched, "min", 4).has_value());
  auto const told = device.told("accuracy");
  REQUIRE(told.has_value());
  CHECK(told->count == 3);
  CHECK(told->sum == doctest::Approx(2.7));
  CHECK(told->max == 1);
  CHECK(told->flagged.of == std::array<std::int64_t, 4>{0, 2, 0, 0});
  device.send_all("accuracy", {7});
  CHECK_MESSAGE(many(device.told("accuracy"), wire::Flag::out_of_range) == 1, "an interval counts its own");
  device.send("errors:7|c");
  CHECK_MESSAGE(device.told("errors")->flagged.all() == 0, "what nobody declared is as it comes");
}

TEST_CASE("the same value for longer than it may is stuck from its first sample on; until then it waits, and counts once another one came") {
  Device device({}, {{"level", varies(std::chrono::minutes{1})}});
  device.send_all("level", {5, 5, 5, 6});
  auto told = device.told("level");
  REQUIRE(told.has_value());
  CHECK_MESSAGE(told->count == 3, "three of the same within the time are good");
  CHECK(told->sum == 15);
  device.send_all("level", std::vector<double>(3, 6.));
  CHECK_MESSAGE(!device.told("level").has_value(), "nobody can say yet");
  device.send_all("level", std::vector<double>(20, 6.));
  told = device.told("level");
  REQUIRE(told.has_value());
  CHECK(told->count == 0);
  CHECK(told->sum == 0);
  CHECK_MESSAGE(told->flagged[wire::Flag::stuck] == 24, "with those that waited");
  device.send_all("level", {7, 8});
  told = device.told("level");
  REQUIRE(told.has_value());
  CHECK(told->count == 1);
  CHECK(told->sum == 7);
  CHECK(told->flagged.all() == 0);
  device.clock.advance(std::chrono::minutes{2});
  CHECK_MESSAGE(device.told("level")->sum == 8, "what is silent is not stuck");
}

TEST_CASE("few samples of one value are no sensor that is stuck, and sums are never") {
  Device device({}, {{"level", varies(std::chrono::seconds{30})}, {"inferences", varies(std::chrono::seconds{30})}});
  device.send_all("level", {5, 5, 5, 5, 6}, std::chrono::minutes{1});
  auto const told = device.told("level");
  REQUIRE(told.has_value());
  CHECK(told->count == 5);
  CHECK(told->sum == 26);
  CHECK(told->flagged.all() == 0);
  for (int i = 0; i < 20; ++i) {
    device.send("inferences:1|c");
    device.clock.advance(std::chrono::seconds{10});
  }
  CHECK(device.told("inferences")->sum == 20);
}

TEST_CASE("a gauge changes from what it is, flagged or not") {
  Device device({}, {{"level", in(0, 10)}});
  device.send("level:9|g");
  device.send("level:+5|g");
  device.send("level:-6|g");
  auto told = device.told("level");
  REQUIRE(told.has_value());
  CHECK(told->sum == 8);
  CHECK(told->flagged[wire::Flag::out_of_range] == 1);
}

TEST_CASE("what should come and does not is missing: once an interval, of what runs, also where it never came") {
  Device device({}, {{"accuracy", every(std::chrono::minutes{1})}, {"latency_ms", {}}});
  device.clock.advance(std::chrono::seconds{59});
  CHECK(device.collector.drain().empty());
  device.clock.advance(std::chrono::seconds{1});
  auto told = device.told("accuracy");
  REQUIRE(told.has_value());
  CHECK(told->count == 0);
  CHECK(told->kind.empty());
  CHECK(told->flagged[wire::Flag::missing] == 1);
  device.send("accuracy:0.5|d");
  told = device.told("accuracy");
  CHECK(told->flagged.all() == 0);
  CHECK(told->kind == "d");
  device.clock.advance(std::chrono::hours{3});
  CHECK(many(device.told("accuracy"), wire::Flag::missing) == 1);
  device.collector.running("reader", kNext);  // which says nothing of it
  device.clock.advance(std::chrono::hours{1});
  CHECK(device.collector.drain().empty());
}

TEST_CASE("the owner's word stands above the release's, for any release and none") {
  Device device({{{"accuracy", in(0, 2)}, {"ambient", in(-40, 85)}, {"door", every(std::chrono::minutes{1})}}, {}}, {{"accuracy", in(0, 1)}});
  device.send("accuracy:1.5|d");
  device.collector.take("ambient:400|g");
  CHECK(device.told("accuracy")->flagged.all() == 0);
  device.collector.take("ambient:400|g");
  CHECK(many(device.told("ambient"), wire::Flag::out_of_range) == 1);
  device.clock.advance(std::chrono::minutes{1});
  CHECK(many(device.told("door"), wire::Flag::missing) == 1);
}

TEST_CASE("what the release or the owner keeps on the device does not leave it, and is there for health checks") {
  wire::MetricSchema kept;
  kept.local = true;
  Device device({{}, {"accuracy", "latency*"}}, {{"accuracy", kept}});
  Collector::Watched const watched{"accuracy", std::chrono::minutes{5}};
  device.collector.watch(kDigest, {watched});
  device.send("accuracy:0.5|d");
  device.send("latency_ms:5|ms");
  device.send("plates_seen:5|c");
  CHECK(device.collector.stat(kDigest, watched, "mean", 1) == .5);
  auto const items = device.collector.drain();
  REQUIRE(items.size() == 1);
  REQUIRE(items[0].metrics.size() == 1);
  CHECK(items[0].metrics[0].name == "latency_ms");
}
