#include "agent/report/spool.hpp"
#include "agent/store/record_file.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

using wire::Tier;
std::string const kDir = "/state/spool";

wire::ReportItem update_item(std::string state, std::string model = "reader") {
  wire::ReportItem item;
  item.update = wire::UpdateItem{};
  item.update->model = std::move(model);
  item.update->state = std::move(state);
  return item;
}

wire::ReportItem metrics_item(std::size_t padding = 0) {
  wire::ReportItem item;
  item.metrics = wire::MetricsItem{};
  item.metrics->model = "reader";
  wire::MetricsItem::Metric metric;
  metric.kind = "c";
  metric.count = 1;
  for (std::size_t i = 0; i * 100 <= padding; ++i) {
    metric.name = std::string(100, 'm');
    item.metrics->metrics.push_back(metric);
  }
  return item;
}

wire::ReportItem note_item(std::string text) {
  wire::ReportItem item;
  item.note = wire::NoteItem{{}, "test", std::move(text)};
  return item;
}

/// A device's state on a disk that can be cut, and the spool on it.
struct Bench {
  CrashFs fs;
  FakeClock clock{from_unix_ms(1'700'000'000'000)};
  std::unique_ptr<Spool> spool;

  Bench() { fs.put("/state/other", ""); }
  Spool& open() {
    spool.reset();
    spool = Spool::open(fs, kDir, clock);
    return *spool;
  }
  std::vector<wire::ReportItem> items(Tier tier) { return spool->next(100 << 20).items[tier]; }
  std::vector<std::string> states() {
    std::vector<std::string> out;
    for (auto const& item : items(Tier::critical)) out.push_back(item.update->state);
    return out;
  }
  /// The server has all of it for good.
  wire::ReportAnswer take() {
    auto const report = spool->next(100 << 20);
    for (auto const tier : wire::kTiers)
      if (!report.items[tier].empty()) at_server.acked[tier] = at_server.received[tier] = std::max(at_server.acked[tier], report.items[tier].back().sequence);
    REQUIRE(spool->settle(at_server).has_value());
    return at_server;
  }
  wire::ReportAnswer at_server;
};

}  // namespace

TEST_CASE("each tier counts for itself from 1, comes back in its order across restarts, and critical items stand first") {
  Bench bench;
  REQUIRE(bench.open().add(metrics_item()).has_value());
  REQUIRE(bench.spool->add(update_item("testing")).has_value());
  REQUIRE(bench.spool->add(note_item("n")).has_value());
  REQUIRE(bench.spool->add(update_item("probation")).has_value());
  bench.spool->spill();
  for (bool const again : {false, true}) {
    CAPTURE(again);
    if (again) bench.open();
    CHECK(bench.states() == std::vector<std::string>{"testing", "probation"});
    CHECK(bench.items(Tier::critical)[1].sequence == 2);
    REQUIRE(bench.items(Tier::diagnostic).size() == 1);
    CHECK(bench.items(Tier::diagnostic)[0].sequence == 1);
    REQUIRE(bench.items(Tier::bulk).size() == 1);
    CHECK(bench.items(Tier::bulk)[0].sequence == 1);
  }
  auto const first = bench.spool->next(1);
  CHECK(first.size() == 1);
  CHECK(first.items[Tier::critical].size() == 1);
}

TEST_CASE("an acknowledgement removes what it covers and no number is ever used again") {
  Bench bench;
  wire::ByTier<std::int64_t> highest;
  for (int boot = 0; boot < 5; ++boot) {
    CAPTURE(boot);
    bench.open();
    // What was acknowledged may be sent once more after a restart; it is known by its number and counted once.
    for (auto const tier : wire::kTiers)
      for (auto const& item : bench.items(tier)) CHECK(item.sequence <= highest[tier]);
    REQUIRE(bench.spool->add(metrics_item()).has_value());
    REQUIRE(bench.spool->add(update_item("a")).has_value());
    REQUIRE(bench.spool->add(note_item("n")).has_value());
    for (auto const tier : wire::kTiers) {
      CHECK(bench.items(tier).back().sequence > highest[tier]);
      highest[tier] = bench.items(tier).back().sequence;
    }
    bench.take();
    CHECK_FALSE(bench.spool->has_items());
    CHECK_FALSE(bench.spool->has_urgent());
  }
}

TEST_CASE("what a power cut at any operation leaves: every item that was accepted and not acknowledged, and numbers that rise") {
  for (int step = 1;; ++step) {
    CAPTURE(step);
    Bench bench;
    bench.open();
    bench.fs.cut_at(step);
    std::vector<std::string> accepted;
    wire::ByTier<std::int64_t> highest;
    for (int i = 0; i < 40; ++i) {
      auto const state = fmt::format("state-{}", i);
      auto wide = update_item(state);
      wide.update->error = {"code", "text", std::string(3'000, 'x')};  // over segments, too
      if (bench.spool->add(std::move(wide)).has_value()) accepted.push_back(state);
      static_cast<void>(bench.spool->add(note_item(state)));
      static_cast<void>(bench.spool->add(metrics_item(3'000)));
      if (i % 10 == 9) {  // what is sent now has all that came before: reading it each time would say no more
        auto const sent = bench.spool->next(100 << 20);
        for (auto const tier : wire::kTiers)
          if (!sent.items[tier].empty()) highest[tier] = std::max(highest[tier], sent.items[tier].back().sequence);
      }
      if (i == 30) {
        bench.at_server.acked[Tier::critical] = bench.at_server.received[Tier::critical] = 20;
        static_cast<void>(bench.spool->settle(bench.at_server));
      }
    }
    bool const hit = bench.fs.was_hit();
    bench.fs.restart(CrashFs::Loss::unsynced);
    bench.open();
    auto const found = bench.states();
    for (std::size_t i = 20; i < accepted.size(); ++i) CHECK_MESSAGE(std::find(found.begin(), found.end(), accepted[i]) != found.end(), accepted[i]);
    CHECK(std::is_sorted(found.begin(), found.end(), [](auto const& a, auto const& b) { return std::stoi(a.substr(6)) < std::stoi(b.substr(6)); }));
    if (!accepted.empty()) CHECK(bench.spool->last_update("reader").has_value());
    REQUIRE(bench.spool->add(update_item("after")).has_value());
    REQUIRE(bench.spool->add(metrics_item()).has_value());
    // Whatever the server has of before, what comes now is no repeat to it.
    bench.at_server.acked = bench.at_server.received = highest;
    REQUIRE(bench.spool->settle(bench.at_server).has_value());
    for (auto const tier : {Tier::critical, Tier::bulk}) {
      REQUIRE_FALSE(bench.items(tier).empty());
      CHECK(bench.items(tier).back().sequence > highest[tier]);
    }
    CHECK(bench.states().back() == "after");
    if (!hit) break;
  }
}

TEST_CASE("a full bulk tier costs no rewriting: the oldest segment goes, results stay, and one counter tells what was dropped") {
  Bench bench;
  bench.open();
  REQUIRE(bench.spool->add(update_item("committed")).has_value());
  for (int i = 0; i < 300; ++i) REQUIRE(bench.spool->add(metrics_item(10'000)).has_value());
  auto const before = bench.fs.steps();
  for (int i = 0; i < 300; ++i) REQUIRE(bench.spool->add(metrics_item(10'000)).has_value());
  CHECK(bench.fs.steps() - before < 5 * 300);
  CHECK(bench.states() == std::vector<std::string>{"committed"});
  auto const report = bench.spool->next(100 << 20);
  REQUIRE(report.items[Tier::diagnostic].size() == 1);
  auto const& dropped = report.items[Tier::diagnostic][0].dropped;
  REQUIRE(dropped.has_value());
  CHECK(dropped->tier == "bulk");
  CHECK(dropped->items + static_cast<std::int64_t>(report.items[Tier::bulk].size()) == 600);
  std::size_t bytes = 0;
  for (auto const& name : *bench.fs.list(kDir))
    if (name.starts_with("bulk")) bytes += bench.fs.info(kDir + "/" + name)->size;
  CHECK(bytes <= Spool::kBulkBytes + SpoolTier::kSegmentBytes);
  bench.take();
  CHECK(bench.items(Tier::diagnostic).empty());
}

TEST_CASE("years of flapping push out what only says that something is under way, never a result") {
  Bench bench;
  bench.open();
  auto wide = update_item("failed");
  wide.update->error = {"code", "text", std::string(4'000, 'x')};
  for (int i = 0; i < 700; ++i) {
    REQUIRE(bench.spool->add(wide).has_value());
    REQUIRE(bench.spool->add(update_item("downloading")).has_value());
  }
  std::size_t results = 0, progress = 0;
  for (auto const& state : bench.states()) ++(state == "failed" ? results : progress);
  CHECK(results == 700);
  CHECK(progress < 700);
  std::int64_t told = 0;
  for (auto const& item : bench.items(Tier::diagnostic)) told += item.dropped ? item.dropped->items : 0;
  CHECK(static_cast<std::size_t>(told) == 700 - progress);
}

TEST_CASE("a disk that takes nothing loses no item while the agent lives") {
  Error const full{Kind::unavailable, "disk_full", "no space left"};
  for (int step = 1;; ++step) {
    CAPTURE(step);
    Bench bench;
    bench.open();
    REQUIRE(bench.spool->add(update_item("first")).has_value());
    bench.fs.fail_at(step, full);
    bool const second = bench.spool->add(update_item("second")).has_value();
    bool const hit = bench.fs.was_hit();
    if (!hit) break;
    CAPTURE(second);
    CHECK(bench.states() == std::vector<std::string>{"first", "second"});
    REQUIRE(bench.spool->add(update_item("third")).has_value());
    CHECK(bench.states() == std::vector<std::string>{"first", "second", "third"});
    bench.open();
    CHECK(bench.states() == std::vector<std::string>{"first", "second", "third"});
  }
}

TEST_CASE("whatever lies there, it opens") {
  auto const line = [](std::int64_t sequence) {
    auto item = update_item("committed");
    item.sequence = sequence;
    return RecordFile::line_of(wire::encode(item));
  };
  struct Case {
    std::string name, file, content;
    std::size_t found;
  };
  std::string months;
  for (int i = 1; i <= 40'000; ++i) months += RecordFile::line_of(fmt::format(R"({{"type":"dropped","at":"2026-01-29T10:18:54.410Z","tier":"bulk","items":1,"sequence":{}}})", i));
  for (auto const& [name, file, content, found] : std::to_array<Case>({
           {"a torn end", "critical", line(1) + line(2) + line(3).substr(0, 40), 2},
           {"a damaged line in the middle", "critical", line(1) + "0123456789abcdef {}\n" + line(3), 2},
           {"zeros", "critical", std::string(8192, '\0'), 0},
           {"one endless line", "critical", std::string(3 << 20, 'x'), 0},
           {"a damaged segment", "critical.5", line(4) + std::string(100, '\0') + "\n" + line(5), 2},
           {"names that are none", "critical.x", line(1), 0},
           {"months of an older agent", "critical", months, 40'000},
           {"counters that are none", "counters", "\xff\xfe 17\n", 0},
           {"last words that are none", "told", line(1).substr(0, 30), 0},
       })) {
    CAPTURE(name);
    Bench bench;
    bench.fs.put(kDir + "/" + file, content);
    bench.open();
    std::size_t items = 0;
    for (;;) {
      auto const report = bench.spool->next(512 * 1024);
      if (report.items[Tier::critical].empty()) break;
      items += report.items[Tier::critical].size();
      bench.at_server.acked[Tier::critical] = report.items[Tier::critical].back().sequence;
      REQUIRE(bench.spool->settle(bench.at_server).has_value());
    }
    CHECK(items == found);
    REQUIRE(bench.spool->add(update_item("after")).has_value());
    REQUIRE(bench.states().size() == 1);
    bench.open();
    CHECK(bench.states().back() == "after");
  }
  Bench bench;
  bench.fs.put(kDir + "/critical/in-the-way", "");
  bench.open();
  REQUIRE(bench.spool->add(update_item("after")).has_value());
  bench.open();
  CHECK(bench.states() == std::vector<std::string>{"after"});
}

TEST_CASE("what the server only received is kept, and sent again when it says so or has less") {
  Bench bench;
  bench.open();
  for (auto const* const state : {"a", "b", "c"}) REQUIRE(bench.spool->add(update_item(state)).has_value());
  wire::ReportAnswer answer;
  answer.acked[Tier::critical] = 1;
  answer.received[Tier::critical] = 3;
  REQUIRE(bench.spool->settle(answer).has_value());
  CHECK(bench.states().empty());
  CHECK(bench.spool->is_unsettled());
  bench.spool->resend();
  CHECK(bench.states() == std::vector<std::string>{"b", "c"});
  REQUIRE(bench.spool->settle(answer).has_value());
  answer.received[Tier::critical] = 2;
  REQUIRE(bench.spool->settle(answer).has_value());
  CHECK(bench.states() == std::vector<std::string>{"c"});
  answer.acked[Tier::critical] = std::int64_t{1} << 40;
  auto const leapt = bench.spool->settle(answer);
  REQUIRE_FALSE(leapt.has_value());
  CHECK(leapt.error().code == "acked_leap");
}

TEST_CASE("a server that was restored hears the last word of each model again; one that knows more than a disk that lost its counters hears all") {
  Bench bench;
  bench.open();
  REQUIRE(bench.spool->add(update_item("failed", "m")).has_value());
  REQUIRE(bench.spool->add(update_item("committed", "m")).has_value());
  REQUIRE(bench.spool->add(update_item("committed", "n")).has_value());
  bench.take();
  bench.open();
  CHECK(bench.spool->last_update("m")->state == "committed");
  auto restored = bench.at_server;
  restored.acked[Tier::critical] = restored.received[Tier::critical] = 1;
  REQUIRE(bench.spool->settle(bench.at_server).has_value());
  REQUIRE(bench.spool->settle(restored).has_value());
  auto const again = bench.items(Tier::critical);
  REQUIRE(again.size() == 2);
  CHECK(again[0].update->model == "m");
  CHECK(again[0].update->state == "committed");
  CHECK(again[0].sequence > bench.at_server.acked[Tier::critical]);

  Bench lost;
  lost.open();
  REQUIRE(lost.spool->add(update_item("committed")).has_value());
  wire::ReportAnswer ahead;
  ahead.acked[Tier::critical] = ahead.received[Tier::critical] = 500;
  REQUIRE(lost.spool->settle(ahead).has_value());
  REQUIRE(lost.items(Tier::critical).size() == 1);
  CHECK(lost.items(Tier::critical)[0].sequence > 500);
}

TEST_CASE("an idle spool writes nothing, and a server in reach takes metrics from memory") {
  Bench bench;
  bench.open();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(bench.spool->add(metrics_item()).has_value());
    bench.take();
  }
  auto const before = bench.fs.steps();
  for (int minute = 0; minute < 500; ++minute) {
    REQUIRE(bench.spool->add(metrics_item(1'000)).has_value());
    bench.take();
  }
  CHECK(bench.fs.steps() == before);
}

TEST_CASE("a support bundle of the largest size goes to the disk, comes back after a restart, and fits into one report") {
  Bench bench;
  wire::ReportItem item;
  item.support = wire::SupportItem{from_unix_ms(1'700'000'000'000), "sup_1", std::string(wire::kSupportBytesMax, '\xff')};
  REQUIRE(bench.open().add(item).has_value());
  bench.spool->spill();
  bench.fs.restart(CrashFs::Loss::nothing);
  auto const report = bench.open().next(64 * 1024);
  REQUIRE(report.items[Tier::bulk].size() == 1);
  auto const body = wire::encode(report);
  CHECK(body.size() <= wire::kReportBytesMax);
  auto const told = wire::decode_report(body);
  REQUIRE(told.has_value());
  CHECK(told->items[Tier::bulk].at(0).support->content == item.support->content);
  bench.take();
  CHECK(bench.open().next(64 * 1024).size() == 0);
}
