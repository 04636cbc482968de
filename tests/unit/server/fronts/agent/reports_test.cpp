#include "tests/unit/server/fronts/agent/house.hpp"

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

wire::ReportItem latency(std::int64_t sequence) {
  wire::ReportItem item;
  item.sequence = sequence;
  item.metrics.emplace();
  item.metrics->model = "reader";
  item.metrics->metrics = {{.name = "latency_ms", .kind = "ms", .count = 2, .sum = 30, .min = 10, .max = 20, .buckets = {{116, 1}, {150, 1}}}};
  return item;
}

Result<std::int64_t> take(House& house, std::vector<wire::ReportItem> items) {
  wire::Report report;
  report.boot_id = "boot-1";
  report.sequence = items.empty() ? 0 : items.back().sequence;
  report.items = std::move(items);
  auto const job = [&](store::Tx& tx) { return fronts::take_report(tx, house.engine, 1, report, house.clock.wall()); };
  return house.store->write_value<std::int64_t>(job);
}

}  // namespace

TEST_CASE("a report is counted once, however often it is sent") {
  House house;
  std::vector<wire::ReportItem> const items{update(1, "downloading", "1.0.0"), latency(2), update(3, "committed", "2.0.0")};
  CHECK(*take(house, items) == 3);
  CHECK(*take(house, items) == 3);
  CHECK(house.engine.updates.size() == 2);
  CHECK(house.engine.metrics.size() == 1);
  CHECK(house.read("SELECT count(*) FROM device_history") == "2");
  CHECK(house.read("SELECT count FROM telemetry WHERE metric = 'latency_ms'") == "2");
  // A batch that overlaps: only what is new counts.
  CHECK(*take(house, {update(3, "committed", "2.0.0"), update(4, "idle", "2.0.0")}) == 4);
  CHECK(house.engine.updates.size() == 3);
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

TEST_CASE("items out of order are refused as a whole") {
  House house;
  auto const taken = take(house, {update(2, "testing", "1.0.0"), update(1, "failed", "1.0.0")});
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().code == "sequence_order");
  CHECK(house.read("SELECT count(*) FROM device_history") == "0");
  CHECK(house.read("SELECT report_sequence FROM devices") == "0");
}

TEST_CASE("facts replace facts, losses are told, kinds from newer agents are kept out and acknowledged") {
  House house;
  wire::ReportItem facts;
  facts.sequence = 1;
  facts.facts.emplace();
  facts.facts->reported = {{"runtime", "onnxruntime-1.17"}};
  wire::ReportItem dropped;
  dropped.sequence = 2;
  dropped.dropped.emplace();
  dropped.dropped->tier = "bulk";
  dropped.dropped->items = 17;
  wire::ReportItem unknown;
  unknown.sequence = 3;
  CHECK(*take(house, {facts, dropped, unknown}) == 3);
  CHECK(house.read("SELECT reported FROM devices") == R"({"runtime":"onnxruntime-1.17"})");
  CHECK(house.read("SELECT json_extract(data, '$.items') FROM events WHERE type = 'device.telemetry_dropped'") == "17");
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
  house.write("INSERT INTO contacts VALUES (1, 5, 900, 60)");
  CHECK(*take(house, {update(1, "testing", "1.0.0")}) == 1);
  CHECK(house.read("SELECT seen_at || ' ' || poll_every_s FROM contacts") == std::to_string(to_unix_ms(house.clock.wall())) + " 900");
}
