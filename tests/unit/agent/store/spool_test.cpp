#include "agent/store/spool.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kDir = "/state/spool";

wire::ReportItem update_item(std::string state) {
  wire::ReportItem item;
  item.update = wire::UpdateItem{};
  item.update->model = "reader";
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

CrashFs with_folder() {
  CrashFs fs;
  fs.put("/state/other", "");
  return fs;
}

std::vector<std::int64_t> sequences(Spool const& spool) {
  std::vector<std::int64_t> out;
  for (auto const& item : spool.next(100 << 20)) out.push_back(item.sequence);
  return out;
}

FakeClock clock_of_test() { return FakeClock{from_unix_ms(1'700'000'000'000)}; }

}  // namespace

TEST_CASE("what is spooled comes back in the order of its sequences over both tiers, across restarts") {
  auto fs = with_folder();
  auto clock = clock_of_test();
  {
    auto spool = Spool::open(fs, kDir, clock);
    REQUIRE(spool.has_value());
    REQUIRE((*spool)->add(update_item("testing")).has_value());
    REQUIRE((*spool)->add(metrics_item()).has_value());
    REQUIRE((*spool)->add(update_item("probation")).has_value());
  }
  auto const spool = Spool::open(fs, kDir, clock);
  REQUIRE(spool.has_value());
  auto const items = (*spool)->next(1 << 20);
  REQUIRE(items.size() == 3);
  CHECK(items[0].update->state == "testing");
  CHECK(items[1].metrics.has_value());
  CHECK(items[2].update->state == "probation");
  CHECK(items[0].sequence < items[1].sequence);
  CHECK(items[1].sequence < items[2].sequence);
}

TEST_CASE("an acknowledgement removes what it covers and no sequence is ever used again") {
  auto fs = with_folder();
  auto clock = clock_of_test();
  std::int64_t highest = 0;
  for (int boot = 0; boot < 5; ++boot) {
    CAPTURE(boot);
    auto const spool = Spool::open(fs, kDir, clock);
    REQUIRE(spool.has_value());
    // What was acknowledged may be sent once more after a restart; it is known by its sequence and counted once.
    for (auto const sequence : sequences(**spool)) CHECK(sequence <= highest);
    REQUIRE((*spool)->add(metrics_item()).has_value());
    CHECK(sequences(**spool).back() > highest);
    REQUIRE((*spool)->add(update_item("a")).has_value());
    highest = sequences(**spool).back();
    REQUIRE((*spool)->acknowledge(highest).has_value());
    CHECK((*spool)->size() == 0);
    CHECK_FALSE((*spool)->has_critical());
  }
}

TEST_CASE("a critical item that was added survives the power, and sequences rise after it") {
  for (int step = 1;; ++step) {
    CAPTURE(step);
    auto fs = with_folder();
    auto clock = clock_of_test();
    std::vector<std::int64_t> used;
    bool hit = false;
    std::size_t added = 0;
    {
      auto const spool = Spool::open(fs, kDir, clock);
      REQUIRE(spool.has_value());
      fs.cut_at(step);
      for (int i = 0; i < 3; ++i) {
        if ((*spool)->add(update_item("state-" + std::to_string(i))).has_value()) ++added;
        static_cast<void>((*spool)->add(metrics_item()));
      }
      used = sequences(**spool);
      hit = fs.was_hit();
    }
    fs.restart(CrashFs::Loss::unsynced);
    auto const spool = Spool::open(fs, kDir, clock);
    REQUIRE(spool.has_value());
    std::size_t found = 0;
    for (auto const& item : (*spool)->next(1 << 20))
      if (item.update) CHECK(item.update->state == "state-" + std::to_string(found++));
    CHECK(found >= added);
    REQUIRE((*spool)->add(update_item("after")).has_value());
    auto const last = sequences(**spool).back();
    if (!used.empty()) CHECK(last > used.back());
    if (!hit) break;
  }
}

TEST_CASE("weeks of metrics push out the oldest metrics, never a change of state, and the loss is told") {
  auto fs = with_folder();
  auto clock = clock_of_test();
  auto const spool = Spool::open(fs, kDir, clock);
  REQUIRE(spool.has_value());
  REQUIRE((*spool)->add(update_item("committed")).has_value());
  for (int i = 0; i < 300; ++i) REQUIRE((*spool)->add(metrics_item(10'000)).has_value());
  std::int64_t updates = 0, metrics = 0, dropped = 0, previous = 0;
  std::size_t bytes = 0;
  for (auto const& item : (*spool)->next(100 << 20)) {
    CHECK(item.sequence > previous);
    previous = item.sequence;
    if (item.update) ++updates;
    if (item.metrics) ++metrics;
    if (item.dropped) dropped += item.dropped->items;
    bytes += wire::encode(item).size();
  }
  CHECK(updates == 1);
  CHECK(dropped > 0);
  CHECK(metrics + dropped == 300);
  CHECK(bytes < Spool::kBulkBytes + Spool::kCriticalBytes);
  CHECK(fs.text(kDir + "/bulk")->size() < 4 * Spool::kBulkBytes);
}

TEST_CASE("a full disk loses at most the item at hand, and the spool goes on") {
  Error const full{Kind::unavailable, "disk_full", "no space left"};
  for (int step = 1;; ++step) {
    CAPTURE(step);
    auto fs = with_folder();
    auto clock = clock_of_test();
    auto const spool = Spool::open(fs, kDir, clock);
    REQUIRE(spool.has_value());
    REQUIRE((*spool)->add(update_item("first")).has_value());
    fs.fail_at(step, full);
    bool const second = (*spool)->add(update_item("second")).has_value();
    bool const hit = fs.was_hit();
    CHECK(second != hit);
    if (!hit) break;
    REQUIRE((*spool)->add(update_item("third")).has_value());
    auto const reopened = Spool::open(fs, kDir, clock);
    REQUIRE(reopened.has_value());
    CHECK((*reopened)->size() == (second ? 3U : 2U));
    CHECK(sequences(**reopened) == sequences(**spool));
  }
}

TEST_CASE("a batch holds at least one item and no more bytes than asked for") {
  auto fs = with_folder();
  auto clock = clock_of_test();
  auto const spool = Spool::open(fs, kDir, clock);
  REQUIRE(spool.has_value());
  for (int i = 0; i < 10; ++i) REQUIRE((*spool)->add(metrics_item(1000)).has_value());
  CHECK((*spool)->next(1).size() == 1);
  auto const some = (*spool)->next(6000);
  CHECK(some.size() > 1);
  CHECK(some.size() < 10);
}
