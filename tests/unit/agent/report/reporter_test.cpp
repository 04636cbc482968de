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

  void answer(std::function<net::Response(wire::Report const&)> with) {
    server.answer("/device/v1/reports", [this, with = std::move(with)](net::Request const& asked) {
      std::lock_guard const lock(mutex);
      reports.push_back(wire::decode_report(asked.body).value());
      came.notify_all();
      return with(reports.back());
    });
  }
  static net::Response ack(wire::Report const& report) { return net::json_response(200, R"({"acked":)" + std::to_string(report.sequence) + "}"); }
  void add_update(std::string const& state) {
    wire::ReportItem item;
    item.update = wire::UpdateItem{device.clock.wall(), "reader", "1", std::string(64, 'a'), "ro-1", 1, state, "1", std::string(64, 'a'), {}};
    REQUIRE(device.context->spool->add(std::move(item)).has_value());
  }
  template <class Until>
  void run(Until const& until) {
    Reporter reporter(*device.context, *remote);
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
  bench.answer(&Bench::ack);
  bench.add_update("probation");
  bench.run([&] { return !bench.reports.empty(); });
  REQUIRE(bench.reports[0].items.size() == 1);
  CHECK(bench.reports[0].items[0].update->state == "probation");
  CHECK(bench.reports[0].sequence == bench.reports[0].items[0].sequence);
}

TEST_CASE("so are facts") {
  Bench bench;
  bench.device.context->config.telemetry_interval = std::chrono::hours{1};
  bench.answer(&Bench::ack);
  wire::ReportItem item;
  item.facts = wire::FactsItem{bench.device.clock.wall(), {{"os", "debian"}}};
  REQUIRE(bench.device.context->spool->add(std::move(item)).has_value());
  bench.run([&] { return !bench.reports.empty(); });
  CHECK(bench.reports[0].items.at(0).facts->reported == wire::Labels{{"os", "debian"}});
}

TEST_CASE("what was not acknowledged stays and keeps its sequence") {
  Bench bench;
  bench.answer([](wire::Report const&) { return net::json_response(503, R"({"code":"busy","detail":"later"})"); });
  bench.add_update("committed");
  bench.run([&] { return !bench.reports.empty(); });
  CHECK(bench.device.context->spool->size() == 1);
  auto const sequence = bench.reports[0].sequence;
  bench.reports.clear();
  bench.answer(&Bench::ack);
  bench.run([&] { return !bench.reports.empty(); });
  CHECK(bench.reports[0].sequence == sequence);
}

TEST_CASE("one item that the server will never take costs no other") {
  Bench bench;
  bench.add_update("testing");
  bench.add_update("failed");
  bench.add_update("idle");
  bench.answer([](wire::Report const& report) {
    for (auto const& item : report.items)
      if (item.update->state == "failed") return net::json_response(400, R"({"code":"bad_input","detail":"no"})");
    return Bench::ack(report);
  });
  bench.run([&] { return !bench.reports.empty() && bench.reports.back().items.back().update->state == "idle" && bench.reports.size() > 1; });
  CHECK(bench.reports.front().items.size() == 3);
  CHECK(bench.device.context->spool->size() <= 1);
}

}  // namespace
}  // namespace fleet::agent
