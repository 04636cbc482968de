#include "agent/report/reporter.hpp"

#include "tests/unit/agent/fake_server.hpp"
#include "tests/unit/agent/device.hpp"

#include <condition_variable>
#include <thread>

namespace fleet::agent {
namespace {

struct Bench {
  FakeServer server;
  Device device;
  std::unique_ptr<Remote> remote = server.remote(device.context->trusted);
  std::mutex mutex;
  std::condition_variable came;
  std::vector<wire::Report> reports;
  bool working = false;
  bool asks_runner = false;  ///< whether it works, in place of `working`

  void answer(std::function<net::Response(wire::Report const&)> with) {
    server.answer("/device/v1/reports", [this, with = std::move(with)](net::Request const& asked) {
      std::lock_guard const lock(mutex);
      reports.push_back(wire::decode_report(asked.body).value());
      came.notify_all();
      return with(reports.back());
    });
  }
  /// All of it is kept for good.
  net::Response ack(wire::Report const& report) {
    for (auto const tier : wire::kTiers)
      if (!report.items[tier].empty()) kept.acked[tier] = kept.received[tier] = report.items[tier].back().sequence;
    return net::json_response(200, wire::encode(kept));
  }
  wire::ReportAnswer kept;
  static std::vector<wire::ReportItem> const& critical(wire::Report const& report) { return report.items[wire::Tier::critical]; }
  void add_update(std::string const& state) {
    wire::ReportItem item;
    item.update = wire::UpdateItem{device.clock.wall(), "reader", "1", std::string(64, 'a'), "ro-1", 1, state, "1", std::string(64, 'a'), {}};
    REQUIRE(device.context->spool->add(std::move(item)).has_value());
  }
  template <class Until>
  void run(Until const& until) {
    Reporter reporter(*device.context, *remote, [this] { return asks_runner ? device.runner->is_working() : working; });
    std::thread looping([&] { reporter.loop(); });
    bool reached = false;
    {
      std::unique_lock lock(mutex);
      reached = came.wait_for(lock, std::chrono::seconds{20}, until);
    }
    // What came last is acknowledged on the loop's thread: it is left time by joining it.
    device.context->stop = true;
    reporter.wake();
    looping.join();
    device.context->stop = false;
    REQUIRE(reached);
  }
};

TEST_CASE("a change of state is told at once, long before the telemetry interval") {
  Bench bench;
  bench.device.context->config.telemetry_interval = std::chrono::hours{1};
  bench.answer([&](wire::Report const& report) { return bench.ack(report); });
  bench.add_update("probation");
  bench.run([&] { return !bench.reports.empty(); });
  REQUIRE(bench.reports[0].size() == 1);
  CHECK(Bench::critical(bench.reports[0]).at(0).update->state == "probation");
}

TEST_CASE("so is what is added while it sleeps, and so are facts") {
  Bench bench;
  bench.device.context->config.telemetry_interval = std::chrono::hours{1};
  bench.answer([&](wire::Report const& report) {
    if (bench.reports.size() == 1) {
      wire::ReportItem item;
      item.facts = wire::FactsItem{bench.device.clock.wall(), {{"os", "debian"}}};
      CHECK(bench.device.context->spool->add(std::move(item)).has_value());
    }
    return bench.ack(report);
  });
  bench.add_update("probation");
  bench.run([&] { return bench.reports.size() == 2; });
  CHECK(bench.reports[1].items[wire::Tier::diagnostic].at(0).facts->reported == wire::Labels{{"os", "debian"}});
}

TEST_CASE("a device that works on an update says that it is there, each interval; one that does not is silent") {
  Bench bench;
  bench.device.context->config.telemetry_interval = Millis{100};
  bench.working = true;
  bench.answer([&](wire::Report const& report) {
    bench.device.clock.advance(Millis{200});
    return bench.ack(report);
  });
  bench.device.clock.advance(Millis{200});
  bench.add_update("probation");
  bench.run([&] { return bench.reports.size() >= 3; });
  CHECK(bench.reports[1].size() == 0);
  CHECK(bench.reports[2].size() == 0);
}

TEST_CASE("so does one that proves what it runs, or waits to, until that is over") {
  for (bool const waits : {false, true}) {
    CAPTURE(waits);
    Bench bench;
    wire::Manifest manifest;
    manifest.probation = wire::Probation{std::chrono::hours{1}, 0, std::chrono::hours{4}};
    auto const release = sample("1", manifest);
    bench.device.fs.put("/agent/agent.yaml", "{telemetry: {interval: 15m}, conditions: {battery: /sys/battery}}");
    bench.device.fs.put("/sys/battery", waits ? "20" : "100");
    bench.device.run_committed(release);
    auto wanted = Device::proof_of(release);
    wanted.conditions.battery_min_percent = 30;
    REQUIRE(bench.device.direct({wanted}));
    bench.device.runner->round();
    REQUIRE(bench.device.state().state == (waits ? State::waiting : State::proving));
    bench.asks_runner = true;
    bench.answer([&](wire::Report const& report) {
      bench.device.clock.advance(std::chrono::minutes{16});
      return bench.ack(report);
    });
    bench.run([&] { return bench.reports.size() >= 4; });
    for (std::size_t i = 1; i < bench.reports.size(); ++i) CHECK(bench.reports[i].size() == 0);
    bench.device.fs.put("/sys/battery", "100");
    bench.device.settle(5);
    CHECK(bench.device.state().state == State::proved);
    CHECK_FALSE(bench.device.runner->is_working());
  }
}

TEST_CASE("what was not acknowledged stays and keeps its sequence") {
  Bench bench;
  bench.answer([](wire::Report const&) { return net::json_response(503, R"({"code":"busy","detail":"later"})"); });
  bench.add_update("committed");
  bench.run([&] { return !bench.reports.empty(); });
  CHECK(bench.device.context->spool->has_urgent());
  auto const sequence = Bench::critical(bench.reports[0]).at(0).sequence;
  bench.reports.clear();
  bench.answer([&](wire::Report const& report) { return bench.ack(report); });
  bench.run([&] { return !bench.reports.empty(); });
  CHECK(Bench::critical(bench.reports[0]).at(0).sequence == sequence);
}

TEST_CASE("a result is told at once while samples are refused, with few of them beside it; where results were refused, they wait") {
  Bench bench;
  bench.device.context->config.telemetry_interval = std::chrono::hours{1};
  wire::ReportItem facts;
  facts.facts = wire::FactsItem{bench.device.clock.wall(), {{"os", "debian"}}};
  REQUIRE(bench.device.context->spool->add(std::move(facts)).has_value());
  for (int i = 0; i < 40; ++i) {
    wire::ReportItem item;
    item.support = wire::SupportItem{bench.device.clock.wall(), "o" + std::to_string(i), std::string(4'000, 'A')};
    REQUIRE(bench.device.context->spool->add(std::move(item)).has_value());
  }
  bench.answer([&](wire::Report const& report) {
    if (bench.reports.size() == 1) bench.add_update("probation");
    if (Bench::critical(report).empty()) return net::json_response(503, R"({"code":"busy","detail":"later"})");
    bench.kept.acked[wire::Tier::critical] = bench.kept.received[wire::Tier::critical] = Bench::critical(report).back().sequence;
    return net::json_response(200, wire::encode(bench.kept));
  });
  bench.run([&] { return bench.reports.size() >= 2; });
  CHECK(Bench::critical(bench.reports[0]).empty());
  CHECK(bench.reports[0].size() > 20);
  CHECK(Bench::critical(bench.reports[1]).size() == 1);
  CHECK(bench.reports[1].size() < 8);
  CHECK(bench.device.context->spool->has_items());
  CHECK_FALSE(bench.device.context->spool->has_results());
}

TEST_CASE("one item that the server will never take costs no other") {
  Bench bench;
  bench.add_update("testing");
  bench.add_update("failed");
  bench.add_update("idle");
  bench.answer([&](wire::Report const& report) {
    for (auto const& item : Bench::critical(report))
      if (item.update->state == "failed") return net::json_response(400, R"({"code":"bad_input","detail":"no"})");
    return bench.ack(report);
  });
  bench.run([&] { return bench.reports.size() > 1 && Bench::critical(bench.reports.back()).back().update->state == "idle"; });
  CHECK(bench.reports.front().size() == 3);
  CHECK_FALSE(bench.device.context->spool->has_items());
}

TEST_CASE("samples of an idle device travel by the longer interval; an update or a proof has them each interval again, and an end leaves none behind") {
  Bench bench;
  auto& context = *bench.device.context;
  context.config.telemetry_interval = std::chrono::minutes{1};
  context.config.telemetry_idle = std::chrono::minutes{30};
  bench.answer([&](wire::Report const& report) { return bench.ack(report); });
  Reporter reporter(context, *bench.remote, [&] { return bench.working; });
  auto const reports_of = [&](int minutes) {
    auto const before = bench.reports.size();
    for (int minute = 0; minute < minutes; ++minute) {
      bench.device.clock.advance(std::chrono::minutes{1});
      context.collector.take("latency_ms:12|ms");
      reporter.turn();
    }
    return bench.reports.size() - before;
  };
  CHECK(reports_of(59) == 59);
  CHECK(reports_of(31 + 60) == 3);
  CHECK(bench.reports.back().items[wire::Tier::bulk].at(0).metrics->metrics.at(0).count == 30);
  bench.working = true;
  CHECK(reports_of(5) == 5);
  bench.working = false;
  CHECK(reports_of(59 + 10) == 59);
  CHECK_FALSE(context.spool->has_items());
  context.stop = true;
  reporter.loop();
  CHECK(context.spool->has_items());
}

}  // namespace
}  // namespace fleet::agent
