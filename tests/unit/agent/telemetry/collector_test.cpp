#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/statsd_socket.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cstring>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kDigest(64, 'a');
std::string const kOther(64, 'b');

FakeClock clock_of_test() { return FakeClock{from_unix_ms(1'700'000'000'000)}; }

std::string line(std::string const& sample, std::string const& digest = kDigest) { return sample + "|#release:" + digest; }

wire::MetricsItem::Metric const* find(std::vector<wire::MetricsItem> const& items, std::string const& digest, std::string const& name) {
  for (auto const& item : items)
    for (auto const& metric : item.metrics)
      if (item.digest == digest && metric.name == name) return &metric;
  return nullptr;
}

}  // namespace

TEST_CASE("an interval is folded per model, release and metric, and told once") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  auto const since = clock.wall();
  collector.take(line("inferences:1|c") + "\n" + line("inferences:2|c|@0.5") + "\n" + line("latency_ms:10|ms") + "\n" + line("latency_ms:30|ms") +
                 "\nambient:7|g\nambient:5|g\nnot a line");
  clock.advance(Millis{60'000});
  auto const items = collector.drain();
  REQUIRE(items.size() == 2);
  auto const* const count = find(items, kDigest, "inferences");
  REQUIRE(count != nullptr);
  CHECK(count->sum == 5);
  CHECK(count->count == 3);
  CHECK(count->buckets.empty());
  auto const* const latency = find(items, kDigest, "latency_ms");
  REQUIRE(latency != nullptr);
  CHECK(latency->min == 10);
  CHECK(latency->max == 30);
  CHECK(latency->count == 2);
  CHECK(latency->buckets.size() == 2);
  auto const* const gauge = find(items, "", "ambient");  // untagged: no evidence for a release
  REQUIRE(gauge != nullptr);
  CHECK(gauge->sum == 5);
  for (auto const& item : items) {
    CHECK(item.since == since);
    CHECK(item.until == clock.wall());
    CHECK(item.model == (item.digest.empty() ? "" : "reader"));
  }
  CHECK(collector.drain().empty());
}

TEST_CASE("every item fits a report, whatever an app sends") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  for (int i = 0; i < 2000; ++i) collector.take(line(fmt::format("name-{}:{}|d", i, i)));
  for (int i = -150; i < 150; ++i)
    for (int k = 1; k < 100; ++k) collector.take(line(fmt::format("wide:{}e{}|d", k, i / 10)) + "\n" + line(fmt::format("wide:-{}e{}|d", k, i / 10)));
  for (int i = 0; i < 5000; ++i) collector.take(fmt::format("inferences:1|c|#release:{:064x},model:m-{}", i, i));
  std::size_t metrics = 0;
  for (auto const& item : collector.drain()) {
    wire::Report report;
    report.items.resize(1);
    report.items[0].sequence = report.sequence = 1;
    report.items[0].metrics = item;
    auto const text = wire::encode(report);
    CHECK(text.size() < wire::kReportBytesMax);
    CHECK(wire::decode_report(text).has_value());
    metrics += item.metrics.size();
  }
  CHECK(metrics <= 512);
}

TEST_CASE("inferences are counted since a moment, however many and however long ago") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  collector.take(line("inferences:5|c"));
  clock.advance(Millis{1'000});
  auto const switched = clock.mono();
  CHECK(collector.inferences(kDigest, switched) == 0);
  for (int i = 0; i < 30'000; ++i) {
    clock.advance(Millis{500});
    collector.take(line("inferences:2|c"));
  }
  CHECK(collector.inferences(kDigest, switched) == doctest::Approx(60'000).epsilon(0.001));
  CHECK(collector.inferences(kDigest, clock.mono()) <= 4);
  CHECK(collector.inferences(kOther, switched) == 0);
}

TEST_CASE("a statistic looks back over its window and wants its samples") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  for (int i = 1; i <= 100; ++i) {
    collector.take(line(fmt::format("latency_ms:{}|ms", i)));
    clock.advance(Millis{100});
  }
  struct Case {
    std::string stat;
    double value;
  };
  auto const window = Millis{60'000};
  for (auto const& [stat, value] :
       std::to_array<Case>({{"mean", 50.5}, {"min", 1}, {"max", 100}, {"sum", 5050}, {"rate", 5050.0 / 60}, {"p50", 50}, {"p95", 95}, {"p99", 99}})) {
    CAPTURE(stat);
    auto const got = collector.stat(kDigest, "latency_ms", stat, window, 100);
    REQUIRE(got.has_value());
    CHECK(*got == doctest::Approx(value).epsilon(0.02));
  }
  CHECK_FALSE(collector.stat(kDigest, "latency_ms", "mean", window, 101).has_value());
  CHECK_FALSE(collector.stat(kOther, "latency_ms", "mean", window, 1).has_value());
  CHECK_FALSE(collector.stat(kDigest, "other", "mean", window, 1).has_value());
  CHECK(*collector.stat(kDigest, "latency_ms", "min", Millis{1'000}, 1) == 91);
  clock.advance(Millis{61'000});
  CHECK_FALSE(collector.stat(kDigest, "latency_ms", "mean", window, 1).has_value());
}

TEST_CASE("releases that ran long ago make room for the one that runs") {
  auto clock = clock_of_test();
  Collector collector(clock);
  for (int release = 0; release < 500; ++release) {
    auto const digest = fmt::format("{:064x}", release);
    collector.running("reader", digest);
    collector.take(line("accuracy:1|d", digest) + "\n" + line("inferences:1|c", digest));
    CHECK(collector.stat(digest, "accuracy", "mean", Millis{60'000}, 1).has_value());
    CHECK(collector.inferences(digest, MonoTime{}) == 1);
    clock.advance(std::chrono::hours{1});
    static_cast<void>(collector.drain());
  }
}

TEST_CASE("apps of other users reach the socket, a stale one is replaced, and its file goes with it") {
  std::string dir = "/tmp/fleet-statsd-XXXXXX";
  REQUIRE(::mkdtemp(dir.data()) != nullptr);
  auto const path = dir + "/statsd.sock";
  auto const leave_one_behind = [&] {
    int const fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
    return address;
  };
  auto const address = leave_one_behind();
  {
    auto sockets = StatsdSockets::open(path, 0);
    REQUIRE(sockets.has_value());
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0666U);
    int const app = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    for (std::string const text : {"inferences:1|c", "accuracy:1|d"})
      CHECK(::sendto(app, text.data(), text.size(), 0, reinterpret_cast<sockaddr const*>(&address), sizeof address) == static_cast<ssize_t>(text.size()));
    ::close(app);
    std::vector<std::string> got;
    REQUIRE(sockets->descriptors().size() == 1);
    sockets->receive(sockets->descriptors().front(), [&](std::string_view datagram) { got.emplace_back(datagram); });
    CHECK(got == std::vector<std::string>{"inferences:1|c", "accuracy:1|d"});
  }
  struct stat info {};
  CHECK(::stat(path.c_str(), &info) != 0);
  ::rmdir(dir.c_str());
  auto const too_long = StatsdSockets::open("/tmp/" + std::string(120, 'x'), 0);
  REQUIRE_FALSE(too_long.has_value());
  CHECK(too_long.error().code == "path_too_long");
}
