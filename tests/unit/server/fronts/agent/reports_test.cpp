#include "tests/unit/server/fronts/agent/house.hpp"

#include <future>
#include <map>
#include <memory>

using namespace fleet;
using namespace fleet::fronts::test;

namespace {

wire::ReportItem update(std::int64_t sequence, std::string const& state, std::string const& running, std::string const& error = "") {
  wire::ReportItem item;
  item.sequence = sequence;
  item.update.emplace();
  item.update->model = "reader";
  item.update->version = "2.0.0";
  item.update->digest = std::string(64, 'c');
  item.update->rollout = "rol_1";
  item.update->attempt = 1;
  item.update->state = state;
  item.update->running_version = running;
  item.update->error.code = error;
  return item;
}

wire::ReportItem dropped(std::int64_t sequence, std::string const& tier, std::int64_t items) {
  wire::ReportItem item;
  item.sequence = sequence;
  item.dropped = wire::DroppedItem{{}, tier, items};
  return item;
}

wire::ReportItem latency(std::int64_t sequence) {
  wire::ReportItem item;
  item.sequence = sequence;
  item.metrics.emplace();
  item.metrics->model = "reader";
  item.metrics->since = SysTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20}};  // as the house's clock
  item.metrics->metrics = {{.name = "latency_ms", .kind = "ms", .count = 2, .sum = 30, .min = 10, .max = 20, .buckets = {{116, 1}, {150, 1}}}};
  return item;
}

/// A place for samples that takes none: what it may have waiting waits.
class Away final : public telemetry::Sink {
public:
  explicit Away(std::int64_t most) : most_(most) {}
  [[nodiscard]] std::string_view name() const override { return "away"; }
  [[nodiscard]] std::int64_t waiting_max() const override { return most_; }
  [[nodiscard]] std::unique_ptr<telemetry::Intervals> intervals() const override { return nullptr; }
  [[nodiscard]] telemetry::SinkFigures figures() const override { return {.held = held}; }
  void note_held() override { ++held; }
  std::uint64_t held = 0;

private:
  std::int64_t most_;
};

Result<wire::ReportAnswer> take(House& house, wire::Report const& report) {
  wire::ReportAnswer answer;
  for (auto const& piece : fronts::cut(report)) {
    auto const job = [&](store::Tx& tx) { return fronts::take_report(tx, house.engine, 1, piece, house.clock.wall()); };
    FLEET_TRY(answer, house.store->write_value<wire::ReportAnswer>(store::Lane::devices, job));
  }
  return answer;
}

Result<std::int64_t> take(House& house, std::vector<wire::ReportItem> items, wire::Tier tier = wire::Tier::critical) {
  wire::Report report;
  report.boot_id = "boot-1";
  report.items[tier] = std::move(items);
  FLEET_TRY(auto const answer, take(house, report));
  CHECK(answer.received == answer.acked);
  return answer.acked[tier];
}

}  // namespace

TEST_CASE("a report is counted once, however often it is sent, each tier by its own sequence") {
  House house;
  wire::Report report;
  report.items[wire::Tier::critical] = {update(1, "downloading", "1.0.0"), update(3, "committed", "2.0.0")};
  report.items[wire::Tier::bulk] = {latency(1)};
  for (int i = 0; i < 2; ++i) {
    auto const answer = take(house, report);
    REQUIRE(answer.has_value());
    CHECK(answer->acked == wire::ByTier<std::int64_t>{{3, 0, 1}});
    CHECK(answer->received == answer->acked);
  }
  CHECK(house.engine.updates.size() == 2);
  CHECK(house.engine.metrics.size() == 1);
  CHECK(house.read("SELECT count(*) FROM device_history") == "2");
  CHECK(house.read("SELECT i.count FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.metric = 'latency_ms'") == "2");
  // A batch that overlaps: only what is new counts.
  CHECK(*take(house, {update(3, "committed", "2.0.0"), update(4, "idle", "2.0.0")}) == 4);
  CHECK(house.engine.updates.size() == 3);
  // An empty one tells what the server has.
  CHECK(take(house, wire::Report{})->acked == wire::ByTier<std::int64_t>{{4, 0, 1}});
}

TEST_CASE("the last word of a model becomes its state, and the device decides anew") {
  House house;
  auto const epoch = house.store->epochs().device(1);
  CHECK(*take(house, {update(1, "testing", "1.0.0"), update(2, "failed", "1.0.0", "golden_mismatch")}) == 2);
  CHECK(house.read("SELECT running || ' ' || version || ' ' || state FROM device_models") == "1.0.0 2.0.0 failed");
  CHECK(house.read("SELECT json_extract(error, '$.code') FROM device_models") == "golden_mismatch");
  CHECK(house.store->epochs().device(1) != epoch);
  CHECK(house.read("SELECT json_extract(data, '$.code') FROM events WHERE type = 'device.update_failed'") == "golden_mismatch");
  CHECK(*take(house, {update(3, "downloading", "1.0.0")}) == 3);
  CHECK(house.read("SELECT error IS NULL FROM device_models") == "1");
}

TEST_CASE("facts replace facts, losses and notes are told, kinds from newer agents are kept out and acknowledged") {
  House house;
  wire::ReportItem facts;
  facts.sequence = 1;
  facts.facts.emplace();
  facts.facts->reported = {{"runtime", "onnxruntime-1.17"}};
  wire::ReportItem note;
  note.sequence = 3;
  note.note = wire::NoteItem{{}, "metric_types_differ", "speed is sent as c and as g"};
  wire::ReportItem unknown;
  unknown.sequence = 4;
  CHECK(*take(house, {facts, dropped(2, "bulk", 17), note, unknown}, wire::Tier::diagnostic) == 4);
  CHECK(house.read("SELECT reported FROM devices") == R"({"runtime":"onnxruntime-1.17"})");
  CHECK(house.read("SELECT json_extract(data, '$.items') FROM events WHERE type = 'device.telemetry_dropped'") == "17");
  CHECK(house.read("SELECT json_extract(data, '$.code') FROM events WHERE type = 'device.note'") == "metric_types_differ");
}

TEST_CASE("a long report is taken in pieces, critical items first, and whole") {
  House house;
  wire::Report report;
  for (int i = 1; i <= 1'200; ++i) report.items[wire::Tier::bulk].push_back(latency(i));
  for (int i = 1; i <= 700; ++i) report.items[wire::Tier::critical].push_back(update(i, "testing", "1.0.0"));
  auto const pieces = fronts::cut(report);
  REQUIRE(pieces.size() == 4);
  CHECK(pieces[0].items[wire::Tier::critical].size() == fronts::kItemsOfPiece);
  CHECK(pieces[1].items[wire::Tier::critical].size() == 200);
  CHECK(pieces[1].items[wire::Tier::bulk].size() == 300);
  CHECK(take(house, report)->acked == wire::ByTier<std::int64_t>{{700, 0, 1'200}});
  CHECK(house.read("SELECT i.count FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.metric = 'latency_ms'") == "2400");
  CHECK(fronts::cut(wire::Report{}).size() == 1);
}

TEST_CASE("where as many samples wait for a sink as may, a tier ends before the next ones; results pass, and all counts once") {
  House house;
  Away away(2);
  auto const send = [&](wire::Report const& report) {
    return house.store->write_value<wire::ReportAnswer>(
        store::Lane::devices, [&](store::Tx& tx) { return fronts::take_report(tx, house.engine, 1, report, house.clock.wall(), fronts::Heard::now, &away); });
  };
  wire::Report report;
  report.items[wire::Tier::bulk] = {latency(1), latency(2)};
  auto const first = send(report);
  REQUIRE(first.has_value());
  CHECK(first->acked[wire::Tier::bulk] == 2);
  CHECK_FALSE(fronts::is_held(report, *first));
  CHECK(house.read("SELECT count(*) FROM telemetry_outbox") == "2");
  CHECK(house.read("SELECT count(*) FROM metric_intervals") == "0");

  // What stands behind samples in its tier waits with them: a tier is acknowledged in its order.
  report.items[wire::Tier::critical] = {update(1, "committed", "2.0.0")};
  report.items[wire::Tier::diagnostic] = {dropped(1, "bulk", 3), latency(2), dropped(3, "bulk", 4)};
  report.items[wire::Tier::bulk] = {latency(2), latency(3)};
  auto const second = send(report);
  REQUIRE(second.has_value());
  CHECK(second->acked == wire::ByTier<std::int64_t>{{1, 1, 2}});
  CHECK(fronts::is_held(report, *second));
  CHECK(house.engine.updates.size() == 1);
  CHECK(house.engine.metrics.size() == 2);
  CHECK(away.held == 1);
  // A report of which nothing can be taken is refused, so that the device waits.
  auto const third = send(report);
  REQUIRE_FALSE(third.has_value());
  CHECK(third.error().kind == Kind::unavailable);
  CHECK(third.error().code == "busy");
  CHECK(house.read("SELECT count(*) FROM telemetry_outbox") == "2");

  CHECK(house.store->write_wait(store::Lane::verbs, [](store::Tx& tx) { return tx.connection().script("DELETE FROM telemetry_outbox"); }).has_value());
  auto const last = send(report);
  REQUIRE(last.has_value());
  CHECK(last->acked == wire::ByTier<std::int64_t>{{1, 3, 3}});
  CHECK(house.engine.updates.size() == 1);
  CHECK(house.engine.metrics.size() == 4);
  CHECK(house.read("SELECT sum(count) FROM telemetry_outbox") == "4");
}

TEST_CASE("models that nobody made are not kept, whatever a device says of them") {
  House house;
  std::vector<wire::ReportItem> items;
  for (int i = 1; i <= 1'000; ++i) {
    items.push_back(update(i, "failed", "1.0.0", "golden_mismatch"));
    if (i > 1) items.back().update->model = "invented-" + std::to_string(i);
  }
  CHECK(*take(house, items) == 1'000);
  auto metrics = latency(1);
  metrics.metrics->model = "invented";
  CHECK(*take(house, {metrics}, wire::Tier::bulk) == 1);
  CHECK(house.read("SELECT count(*) || ' ' || min(model) FROM device_models") == "1 reader");
  CHECK(house.read("SELECT count(*) FROM device_history") == "1");
  CHECK(house.read("SELECT count(*) FROM events") == "1");
  CHECK(house.read("SELECT model || '.' FROM metric_series") == ".");
  CHECK(house.engine.updates.size() == 1);
}

TEST_CASE("a device's history keeps its newest thousand") {
  House house;
  for (int round = 0; round < 3; ++round) {
    std::vector<wire::ReportItem> items;
    for (int i = 1; i <= 800; ++i) items.push_back(update(round * 800 + i, "testing", std::to_string(round * 800 + i)));
    REQUIRE(take(house, items).has_value());
  }
  CHECK(house.read("SELECT count(*) FROM device_history") == "1000");
  CHECK(house.read("SELECT max(id) - min(id) FROM device_history") == "999");
}

TEST_CASE("events that one device makes are bounded, and the rest is counted in one") {
  House house;
  std::vector<wire::ReportItem> items;
  for (int i = 1; i <= 2'000; ++i) items.push_back(update(i, "failed", "1.0.0", "golden_mismatch"));
  REQUIRE(take(house, items).has_value());
  CHECK(house.read("SELECT count(*) FROM events WHERE type = 'device.update_failed'") == "100");
  CHECK(house.read("SELECT count(*) FROM events WHERE type = 'device.other'") == "1");
  // Told again an hour later, with what came since; and some may be told again.
  house.clock.advance(std::chrono::hours{1});
  REQUIRE(take(house, {update(2'001, "failed", "1.0.0", "golden_mismatch")}).has_value());
  CHECK(house.read("SELECT sum(json_extract(data, '$.items')) FROM events WHERE type = 'device.other'") == "1900");
  CHECK(house.read("SELECT count(*) FROM events WHERE type = 'device.update_failed'") == "101");
  std::vector<wire::ReportItem> losses;
  for (int i = 1; i <= 10'000; ++i) losses.push_back(dropped(i, "bulk", 2));
  REQUIRE(take(house, losses, wire::Tier::diagnostic).has_value());
  CHECK(house.read("SELECT sum(json_extract(data, '$.items')) FROM events WHERE type = 'device.telemetry_dropped'") == "20000");
  CHECK(house.read("SELECT count(*) < 30 FROM events WHERE type = 'device.telemetry_dropped'") == "1");
}

TEST_CASE("one device does not use up the names and series of all") {
  House house;
  house.write("INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES (2, 'cam-2', 'cam-a', 'active', x'02', 9e12, 0)");
  wire::Report report;
  for (int i = 1; i <= 20; ++i) {
    auto item = latency(i);
    auto const metric = item.metrics->metrics[0];
    item.metrics->metrics.clear();
    for (int k = 0; k < 50; ++k) {
      item.metrics->metrics.push_back(metric);
      item.metrics->metrics.back().name = "name-" + std::to_string(i) + "-" + std::to_string(k);
    }
    report.items[wire::Tier::bulk].push_back(std::move(item));
  }
  REQUIRE(take(house, report).has_value());
  CHECK(house.read("SELECT count(*) FROM metric_names") == "64");
  CHECK(house.read("SELECT many FROM telemetry_series_count") == "65");
  CHECK(house.read("SELECT i.sum FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.metric = 'other' AND s.model = 'reader'") == "1872.0");  // (1,000 - 64) x 2 samples
  auto const other = [&](store::Tx& tx) {
    wire::Report good;
    good.items[wire::Tier::bulk] = {latency(1)};
    return fronts::take_report(tx, house.engine, 2, good, house.clock.wall());
  };
  REQUIRE(house.store->write_value<wire::ReportAnswer>(store::Lane::devices, other).has_value());
  CHECK(house.read("SELECT i.count FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.metric = 'latency_ms'") == "2");
}

TEST_CASE("a revoked device's report is refused") {
  House house;
  house.write("UPDATE devices SET state = 'revoked'");
  auto const taken = take(house, {update(1, "testing", "1.0.0")});
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == "device_revoked");
}

TEST_CASE("a report is a contact: a device may report more often than it polls") {
  House house;
  house.write("INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) VALUES (1, 5, 900, 60)");
  CHECK(*take(house, {update(1, "testing", "1.0.0")}) == 1);
  CHECK(house.read("SELECT seen_at || ' ' || poll_every_s FROM contacts") == std::to_string(to_unix_ms(house.clock.wall())) + " 900");
}

TEST_CASE("reports that are taken together each find their own device, and one that is refused keeps none of the others") {
  House house;
  house.write(
      "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES (2, 'cam-2', 'cam-b', 'active', x'02', 9e12, 0), "
      "(3, 'cam-3', 'cam-a', 'retired', x'03', 9e12, 0)");
  house.write("INSERT INTO device_tiers (device, tier, acked) VALUES (2, 'critical', 4)");
  auto const reporters = std::make_shared<fronts::Reporters>();
  std::map<std::int64_t, std::string> told;
  std::promise<void> entered, gate, last;
  house.store->write(
      store::Lane::verbs,
      [&](store::Tx&) -> Result<void> {
        entered.set_value();
        gate.get_future().wait();
        return {};
      },
      [](Result<void> const&) {});
  entered.get_future().wait();
  for (std::int64_t const device : {1, 2, 3, 4}) {
    auto const job = [&, device](store::Tx& tx) -> Result<void> {
      wire::Report report;
      report.items[wire::Tier::critical] = {update(5, "committed", "2.0.0")};
      if (device == 2) report.items[wire::Tier::critical].insert(report.items[wire::Tier::critical].begin(), update(4, "testing", "1.0.0"));  // a repeat
      report.items[wire::Tier::bulk] = {latency(1)};
      FLEET_TRY(auto const answer, fronts::take_report(tx, house.engine, *reporters, device, report, house.clock.wall()));
      told[device] = std::to_string(answer.acked[wire::Tier::critical]) + " " + std::to_string(answer.acked[wire::Tier::bulk]);
      return {};
    };
    house.store->fold(store::Lane::devices, reporters, device, job, [&, device](Result<void> const& done) {
      if (!done) told[device] = done.error().code;
      if (device == 4) last.set_value();
    });
  }
  gate.set_value();
  last.get_future().wait();
  CHECK(told == std::map<std::int64_t, std::string>{{1, "5 1"}, {2, "5 1"}, {3, "device_retired"}, {4, "unknown_device"}});
  CHECK(house.read("SELECT group_concat(device || ' ' || state) FROM (SELECT device, state FROM device_history ORDER BY id)") == "1 committed,2 committed");
  CHECK(house.read("SELECT group_concat(hardware) FROM (SELECT hardware FROM metric_series WHERE metric = 'latency_ms' ORDER BY hardware)") == "cam-a,cam-b");
}

namespace {

wire::ReportItem level(std::int64_t sequence, House const& house, wire::MetricsItem::Metric metric) {
  wire::ReportItem item;
  item.sequence = sequence;
  item.metrics.emplace();
  item.metrics->model = "reader";
  item.metrics->until = house.clock.wall();
  item.metrics->since = house.clock.wall() - seconds{60};
  item.metrics->metrics = {std::move(metric)};
  return item;
}

}  // namespace

TEST_CASE("a sensor that counts for nothing is told once, stands in the device's row, and goes with the device") {
  House house;
  wire::MetricsItem::Metric stuck{.name = "level", .kind = "g", .count = 0, .sum = 0, .min = 0, .max = 0, .buckets = {}, .flagged = {{9, 0, 0, 0}}};
  for (int i = 1; i <= 5; ++i) CHECK(*take(house, {level(i, house, stuck)}, wire::Tier::bulk) == i);
  CHECK(house.read("SELECT count(*) FROM events WHERE type = 'device.sensor_flagged'") == "1");
  CHECK(house.read("SELECT json_extract(data, '$.flag') FROM events WHERE type = 'device.sensor_flagged'") == "stuck");
  CHECK(house.read("SELECT flagged FROM device_latest WHERE device = 1") == "1");
  CHECK(house.read("SELECT sum(count) || ' ' || sum(flagged) FROM metric_intervals") == "0 45");
  REQUIRE_FALSE(house.engine.metrics.empty());
  CHECK(house.store->write_wait(store::Lane::verbs, [](store::Tx& tx) { return tx.connection().script("DELETE FROM devices WHERE n = 1"); }).has_value());
  CHECK(house.read("SELECT count(*) FROM device_latest") == "0");
}

TEST_CASE("what a device reports while its clock is off counts for nothing, and for gates neither; by file nobody knows when it was sent") {
  House house;
  wire::MetricsItem::Metric const good{.name = "level", .kind = "g", .count = 1, .sum = 5, .min = 5, .max = 5, .buckets = {}};
  auto const send = [&](std::int64_t sequence, Millis ahead, fronts::Heard heard) {
    wire::Report report;
    report.clock = house.clock.wall() + ahead;
    report.items[wire::Tier::bulk] = {level(sequence, house, good)};
    auto const job = [&](store::Tx& tx) { return fronts::take_report(tx, house.engine, 1, report, house.clock.wall(), heard); };
    REQUIRE(house.store->write_value<wire::ReportAnswer>(store::Lane::devices, job).has_value());
    return house.engine.metrics.back().metrics.at(0);
  };
  CHECK(send(1, -std::chrono::hours{3}, fronts::Heard::now).flagged[wire::Flag::clock_skewed] == 1);
  CHECK(house.engine.metrics.back().metrics.at(0).count == 0);
  CHECK(house.read("SELECT skew FROM device_latest") == "-10800000");
  CHECK(house.read("SELECT json_extract(data, '$.ahead_s') FROM events WHERE type = 'device.clock_skewed'") == "-10800");
  CHECK(send(2, -std::chrono::hours{3}, fronts::Heard::by_file).count == 1);
  CHECK(house.read("SELECT skew FROM device_latest") == "-10800000");
  CHECK(send(3, seconds{20}, fronts::Heard::now).count == 1);
  CHECK(house.read("SELECT skew FROM device_latest") == "0");
}
