#include "agent/conditions/conditions.hpp"
#include "agent/conditions/health.hpp"

#include "tests/unit/agent/device.hpp"

#include <fmt/format.h>

#include <thread>

namespace fleet::agent {
namespace {

constexpr std::string_view kSources =
    "conditions: {battery: /sys/bat/capacity, charging: /sys/ac/online, temperature: /sys/cpu/temp, metered: {exec: []}}";

std::string load_average(double a_processor) {
  return fmt::format("{:.2f} 0.10 0.05 1/123 4567\n", a_processor * std::max(1U, std::thread::hardware_concurrency()));
}

/// A device that is well in all that it can tell.
struct Measured {
  Device device;
  wire::DirectiveTarget target;

  explicit Measured(std::string_view yaml = kSources) {
    device.fs.put("/agent/agent.yaml", std::string(yaml));
    for (auto const& [file, text] : std::to_array<std::pair<std::string, std::string>>(
             {{"/sys/bat/capacity", "80\n"}, {"/sys/ac/online", "1\n"}, {"/sys/cpu/temp", "41500\n"}, {"/proc/loadavg", load_average(0.5)},
              {"/proc/meminfo", "MemTotal:       2000000 kB\nMemFree:           1000 kB\nMemAvailable:     500000 kB\n"}}))
      device.fs.put(file, text);
    device.fs.set_free(500 << 20);
    REQUIRE(device.boot());
    auto& rule = target.conditions;
    rule.battery_min_percent = 30;
    rule.charging = true;
    rule.temperature_max = 70;
    rule.load_max = 0.8;
    rule.memory_free_min = 64 << 20;
    rule.disk_free_min = 200 << 20;
  }
  std::string switch_waits() { return Conditions(*device.context).switch_blocked(target); }
  std::string download_waits(std::uint64_t bytes = 0) {
    std::atomic<bool> const stop = false;
    return Conditions(*device.context).download_blocked(target, {bytes, bytes}, stop);
  }
};

}  // namespace

TEST_CASE("each condition that does not hold keeps a download and a switch back, by its name") {
  struct Case {
    std::string why, file, text;
  };
  for (auto const& [why, file, text] : std::to_array<Case>({
           {"", "/sys/bat/capacity", "30"},
           {"battery", "/sys/bat/capacity", "29"},
           {"charging", "/sys/ac/online", "0"},
           {"charging", "/sys/ac/online", "Discharging\n"},
           {"", "/sys/ac/online", "Charging\n"},
           {"", "/sys/ac/online", "Full\n"},
           {"", "/sys/ac/online", "Not charging\n"},
           {"", "/sys/cpu/temp", "70000"},
           {"temperature", "/sys/cpu/temp", "70001"},
           {"", "/sys/cpu/temp", "-20000"},
           {"", "/proc/loadavg", load_average(0.75)},
           {"load", "/proc/loadavg", load_average(0.85)},
           {"memory", "/proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable:  65535 kB\n"},
           {"", "/proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable:  65536 kB\n"},
       })) {
    CAPTURE(file);
    CAPTURE(text);
    Measured bench;
    CHECK(bench.switch_waits() == "");
    bench.device.fs.put(file, text);
    CHECK(bench.switch_waits() == why);
    CHECK(bench.download_waits() == why);
    bench.target.conditions = {};
    CHECK(bench.switch_waits() == "");
  }
}

TEST_CASE("a download leaves the disk what the policy wants free, and a switch finds it") {
  Measured bench;
  CHECK(bench.download_waits(300 << 20) == "");
  CHECK(bench.download_waits((300 << 20) + 1) == "disk");
  bench.device.fs.set_free((200 << 20) - 1);
  CHECK(bench.switch_waits() == "disk");
}

TEST_CASE("what a device cannot tell holds nothing back") {
  Measured silent("{}");
  for (auto const* const file : {"/proc/loadavg", "/proc/meminfo"}) REQUIRE(silent.device.fs.remove(file).has_value());
  CHECK(silent.switch_waits() == "");
  Measured broken;
  for (auto const* const file : {"/sys/bat/capacity", "/sys/ac/online", "/sys/cpu/temp", "/proc/loadavg", "/proc/meminfo"}) broken.device.fs.put(file, "?");
  CHECK(broken.switch_waits() == "");
}

TEST_CASE("without a file of the owner's the hottest zone counts, past those that do not answer") {
  Measured bench("{}");
  CHECK_FALSE(Sensors(*bench.device.context).temperature().has_value());
  bench.device.fs.put("/sys/class/thermal/cooling_device0/temp", "99000");
  bench.device.fs.put("/sys/class/thermal/thermal_zone0/temp", "41000\n");
  bench.device.fs.put("/sys/class/thermal/thermal_zone1/temp", "");
  bench.device.fs.put("/sys/class/thermal/thermal_zone2/temp", "71000\n");
  bench.device.fs.put("/sys/class/thermal/thermal_zone3/type", "cpu");
  CHECK(Sensors(*bench.device.context).temperature() == 71.0);
  CHECK(bench.switch_waits() == "temperature");
}

TEST_CASE("status tells what a device knows of itself, and null where it does not") {
  Measured bench("conditions: {charging: /sys/ac/online}");
  auto const text = status_json(*bench.device.context, {}, {});
  for (auto const* const part : {R"("battery":null)", R"("charging":true)", R"("temperature":null)", R"("memory_free":512000000)", R"("disk_free":524288000)"})
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
}

TEST_CASE("the device tells what it is like once an hour beside other samples and once a day alone, what it can tell, and nothing where its owner does not want it") {
  for (auto const& [yaml, count] : {std::pair{std::string(kSources), std::size_t{6}}, std::pair{std::string("telemetry: {health: 0s}"), std::size_t{0}}}) {
    Measured measured(yaml);
    measured.device.fs.put("/proc/uptime", "35002.25 69991.00\n");
    auto& context = *measured.device.context;
    Health health(context);
    health.tell();
    auto const items = context.collector.drain();
    std::map<std::string, double> told;
    for (auto const& item : items)
      for (auto const& metric : item.metrics) told[metric.name] = metric.sum;
    REQUIRE(told.size() == count);
    if (count == 0) continue;
    CHECK(told.at("agent.temperature_c") == 41.5);
    CHECK(told.at("agent.battery_percent") == 80);
    CHECK(told.at("agent.memory_free_bytes") == 500'000 * 1024.);
    CHECK(told.at("agent.load") == doctest::Approx(.5));
    CHECK(told.at("agent.uptime_s") == 35'002.25);
    CHECK(told.at("agent.disk_free_bytes") == 500 << 20);
    health.tell();
    CHECK(context.collector.drain().empty());
    measured.device.clock.advance(std::chrono::hours{1});
    health.tell();
    CHECK_MESSAGE(context.collector.drain().empty(), "no report for it alone");
    context.collector.take("plates:1|c");
    health.tell();
    CHECK_MESSAGE(context.collector.drain().at(0).metrics.size() == 7, "beside other samples it is");
    measured.device.clock.advance(std::chrono::hours{24});
    health.tell();
    CHECK(context.collector.has_samples());
  }
}

}  // namespace fleet::agent
