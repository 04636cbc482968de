#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/fold.hpp"
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
    auto& one = report.items[wire::Tier::bulk].emplace_back();
    one.sequence = 1;
    one.metrics = item;
    auto const text = wire::encode(report);
    CHECK(text.size() < wire::kReportBytesMax);
    CHECK(wire::decode_report(text).has_value());
    metrics += item.metrics.size();
  }
  CHECK(metrics <= 512 + 2);  // inferences always have their place, and `other`
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
  Collector::Watched const minute{"latency_ms", Millis{60'000}}, second{"latency_ms", Millis{1'000}};
  collector.watch(kDigest, {minute, second});
  for (int i = 1; i <= 100; ++i) {
    collector.take(line(fmt::format("latency_ms:{}|ms", i)));
    clock.advance(Millis{100});
  }
  struct Case {
    std::string stat;
    double value;
  };
  for (auto const& [stat, value] :
       std::to_array<Case>({{"mean", 50.5}, {"min", 1}, {"max", 100}, {"sum", 5050}, {"rate", 5050.0 / 60}, {"p50", 50}, {"p95", 95}, {"p99", 99}})) {
    CAPTURE(stat);
    auto const got = collector.stat(kDigest, minute, stat, 100);
    REQUIRE(got.has_value());
    CHECK(*got == doctest::Approx(value).epsilon(0.02));
  }
  CHECK_FALSE(collector.stat(kDigest, minute, "mean", 101).has_value());
  CHECK_FALSE(collector.stat(kOther, minute, "mean", 1).has_value());
  CHECK_FALSE(collector.stat(kDigest, {"other", Millis{60'000}}, "mean", 1).has_value());
  CHECK(*collector.stat(kDigest, second, "min", 1) == 91);
  clock.advance(Millis{61'000});
  CHECK_FALSE(collector.stat(kDigest, minute, "mean", 1).has_value());
}

TEST_CASE("what a check names is kept, however many names, releases and samples an app sends") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  for (int i = 0; i < 2'000; ++i) collector.take(line(fmt::format("noise-{}:1|c", i)));
  Collector::Watched const accuracy{"accuracy", Millis{60'000}};
  collector.watch(kDigest, {accuracy});
  for (int i = 0; i < 50'000; ++i) {
    collector.take(line("accuracy:0.9|d") + "\n" + line("inferences:1|c"));
    clock.advance(Millis{1});
  }
  CHECK(*collector.stat(kDigest, accuracy, "mean", 50'000) == doctest::Approx(0.9));
  CHECK(*collector.stat(kDigest, accuracy, "rate", 1) == doctest::Approx(0.9 * 50'000 / 60));
  CHECK(collector.inferences(kDigest, MonoTime{}) == 50'000);
  auto const items = collector.drain();
  CHECK(find(items, kDigest, "accuracy") != nullptr);
  CHECK(find(items, kDigest, "inferences") != nullptr);
  auto const* const other = find(items, "", "other");
  REQUIRE(other != nullptr);
  CHECK(other->sum == 2'000 - 512);
  CHECK(other->count == 2'000 - 512);
  // What was silent makes room in the next interval.
  collector.take(line("newcomer:1|c"));
  CHECK(find(collector.drain(), kDigest, "newcomer") != nullptr);
}

TEST_CASE("counters that an app adds up before it sends have as many samples as they count") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  Collector::Watched const errors{"errors", Millis{60'000}}, latency{"latency", Millis{60'000}};
  collector.watch(kDigest, {errors, latency});
  collector.take(line("errors:500|c") + "\n" + line("errors:5|c|@0.1") + "\n" + line("latency:1:2:3|d|@0.5"));
  CHECK(*collector.stat(kDigest, errors, "sum", 550) == 550);
  CHECK_FALSE(collector.stat(kDigest, errors, "sum", 551).has_value());
  CHECK(*collector.stat(kDigest, latency, "mean", 6) == 2);
  CHECK_FALSE(collector.stat(kDigest, latency, "mean", 7).has_value());
}

TEST_CASE("a gauge keeps its value over intervals, and a sign changes it") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  Collector::Watched const depth{"depth", Millis{60'000}};
  collector.watch(kDigest, {depth});
  for (auto const* const value : {"70", "+5", "-10"}) collector.take(line(fmt::format("depth:{}|g", value)));
  auto const items = collector.drain();
  auto const* const gauge = find(items, kDigest, "depth");
  REQUIRE(gauge != nullptr);
  CHECK(gauge->sum == 65);
  CHECK(gauge->count == 1);
  CHECK(gauge->min == 65);
  CHECK(gauge->max == 75);
  CHECK(*collector.stat(kDigest, depth, "mean", 3) == doctest::Approx(70));
  CHECK(collector.drain().empty());  // nothing new was sent
  collector.take(line("depth:-5|g"));
  CHECK(find(collector.drain(), kDigest, "depth")->sum == 60);
  collector.take(line("depth:-1e15|g") + "\n" + line("depth:-1e15|g"));
  CHECK(find(collector.drain(), kDigest, "depth")->sum == 60 - 1e15);  // beyond the limit nothing is taken
}

TEST_CASE("a set counts what is distinct in its interval") {
  auto clock = clock_of_test();
  Collector collector(clock);
  for (auto const* const user : {"anna", "bert", "anna", "10.0.0.1"}) collector.take(fmt::format("users:{}|s", user));
  for (int i = 0; i < 100'000; ++i) collector.take(fmt::format("flood:{}|s", i));
  auto const items = collector.drain();
  CHECK(find(items, "", "users")->sum == 3);
  CHECK(find(items, "", "users")->kind == "s");
  CHECK(find(items, "", "flood")->sum <= Fold::kMembersMax);
  collector.take("users:anna|s");
  CHECK(find(collector.drain(), "", "users")->sum == 1);
}

TEST_CASE("one name of two types is told once, and taken as the first; ms, h and d are one") {
  auto clock = clock_of_test();
  Collector collector(clock);
  for (int i = 0; i < 3; ++i) collector.take("speed:1|c\nspeed:5|ms\nlatency:1|ms\nlatency:1|d");
  auto const notes = collector.notes();
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].code == "metric_types_differ");
  CHECK(notes[0].text.find("speed") != std::string::npos);
  auto const items = collector.drain();
  CHECK(find(items, "", "speed")->sum == 3);
  CHECK(find(items, "", "latency")->count == 6);
  CHECK(find(items, "", "other")->sum == 3);
  CHECK(collector.notes().empty());
}

TEST_CASE("what anybody can send is told and is no evidence") {
  auto clock = clock_of_test();
  Collector collector(clock);
  collector.running("reader", kDigest);
  Collector::Watched const accuracy{"accuracy", Millis{60'000}};
  collector.watch(kDigest, {accuracy});
  collector.take(line("accuracy:1|d") + "\n" + line("inferences:50|c"), Collector::Source::anybody);
  CHECK_FALSE(collector.stat(kDigest, accuracy, "mean", 1).has_value());
  CHECK(collector.inferences(kDigest, MonoTime{}) == 0);
  auto const items = collector.drain();
  CHECK(find(items, kDigest, "accuracy") == nullptr);
  CHECK(find(items, "", "accuracy") != nullptr);
}

TEST_CASE("releases that ran long ago make room for the one that runs") {
  auto clock = clock_of_test();
  Collector collector(clock);
  Collector::Watched const accuracy{"accuracy", Millis{60'000}};
  for (int release = 0; release < 500; ++release) {
    auto const digest = fmt::format("{:064x}", release);
    collector.running("reader", digest);
    collector.watch(digest, {accuracy});
    collector.take(line("accuracy:1|d", digest) + "\n" + line("inferences:1|c", digest));
    CHECK(collector.stat(digest, accuracy, "mean", 1).has_value());
    CHECK(collector.inferences(digest, MonoTime{}) == 1);
    clock.advance(std::chrono::hours{1});
    static_cast<void>(collector.drain());
  }
}

TEST_CASE("the socket is its group's, a stale one is replaced, and its file goes with it") {
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
  auto clock = clock_of_test();
  for (auto const senders : {std::optional<gid_t>{}, std::optional(::getegid())}) {
    CAPTURE(senders.has_value());
    auto sockets = StatsdSockets::open(path, senders, 0);
    REQUIRE(sockets.has_value());
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == (senders ? 0660U : 0600U));
    if (senders) CHECK(info.st_gid == *senders);
    int const app = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    for (std::string const text : {"inferences:1|c", "accuracy:1|d"})
      CHECK(::sendto(app, text.data(), text.size(), 0, reinterpret_cast<sockaddr const*>(&address), sizeof address) == static_cast<ssize_t>(text.size()));
    ::close(app);
    Collector collector(clock);
    REQUIRE(sockets->sockets().size() == 1);
    StatsdSockets::receive(sockets->sockets().front(), collector);
    auto const items = collector.drain();
    CHECK(find(items, "", "inferences") != nullptr);
    CHECK(find(items, "", "accuracy") != nullptr);
  }
  struct stat info {};
  CHECK(::stat(path.c_str(), &info) != 0);
  ::rmdir(dir.c_str());
  auto const too_long = StatsdSockets::open("/tmp/" + std::string(120, 'x'), {}, 0);
  REQUIRE_FALSE(too_long.has_value());
  CHECK(too_long.error().code == "path_too_long");
}

TEST_CASE("who may send is the group that the owner names, else that of run_as, else nobody") {
  CHECK(senders_of("", "").value() == std::nullopt);
  CHECK(senders_of("", "root").value() == std::optional<gid_t>{0});
  CHECK(senders_of("root", "nobody").value() == std::optional<gid_t>{0});
  auto const unknown = senders_of("no-such-group", "");
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().code == "unknown_group");
}
