#include "server/telemetry/outbox.hpp"
#include "server/registry/device_quota.hpp"
#include "server/telemetry/aging.hpp"
#include "server/telemetry/fold.hpp"
#include "server/telemetry/query.hpp"
#include "server/telemetry/sink.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace fleet;
using namespace fleet::telemetry;

namespace {

SysTime const kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + std::chrono::hours{9}};

class Outbox {
public:
  Outbox() : dir_(std::filesystem::temp_directory_path() / ("fleet-outbox-" + std::to_string(system_random().next()))) {
    std::filesystem::create_directories(dir_);
    auto opened = store::Store::open(dir_.string(), system_clock());
    REQUIRE(opened.has_value());
    store = std::move(*opened);
  }
  ~Outbox() {
    store->close();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  template <class T, class F>
  T write(F job) {
    auto out = store->write_value<T>(store::Lane::verbs, job);
    REQUIRE_MESSAGE(out.has_value(), (out ? "" : out.error().detail));
    return *out;
  }
  void fold(std::string const& metric, SysTime since, double value, bool to_outbox = true, SysTime now = kNow) {
    write<bool>([&](store::Tx& tx) -> Result<bool> {
      FLEET_TRY(auto series, registry::DeviceQuota::load(tx, 1, registry::kSeriesOfDevice, now));
      FLEET_TRY(auto intervals, registry::DeviceQuota::load(tx, 1, registry::kIntervalsOfDevice, now));
      KeptBy const kept;
      Latest latest;
      wire::MetricsItem item;
      item.since = since;
      item.until = since + seconds{60};
      item.metrics = {{.name = metric, .kind = "d", .count = 1, .sum = value, .min = value, .max = value, .buckets = {{stats::Sketch::key_of(value), 1}}}};
      FLEET_CHECK(telemetry::fold(tx, {"cam-a", kept, series, intervals, latest, to_outbox}, item, now));
      return true;
    });
  }
  std::optional<Batch> begin(std::int64_t flush, std::int64_t rows = kRowsOfBatch) {
    return write<std::optional<Batch>>([&](store::Tx& tx) { return begin_batch(tx, flush, rows); });
  }
  bool end(Batch const& batch, std::int64_t rows) {
    return write<bool>([&](store::Tx& tx) { return end_batch(tx, batch, rows); });
  }
  Added added(Batch const& batch) {
    auto out = add_up(store->reader(), batch);
    REQUIRE(out.has_value());
    return *out;
  }
  Waiting waiting() { return *load_waiting(store->reader()); }
  std::int64_t number(std::string const& sql) {
    auto row = store->reader().prepare(db::Query{sql, sql});
    REQUIRE(*row.step());
    return row.int64(0);
  }
  std::unique_ptr<store::Store> store;

private:
  std::filesystem::path dir_;
};

}  // namespace

TEST_CASE("what is measured waits in the outbox, a batch is added up by series and minute, and goes as a whole") {
  Outbox outbox;
  CHECK(outbox.waiting().rows == 0);
  CHECK_FALSE(outbox.begin(7).has_value());
  auto const at = kNow - std::chrono::minutes{10};
  outbox.fold("accuracy", at, 0.5);
  outbox.fold("accuracy", at + seconds{30}, 1);
  outbox.fold("accuracy", at + seconds{60}, 0.25);
  outbox.fold("latency", at, 20);
  CHECK(outbox.waiting().rows == 4);
  CHECK(outbox.waiting().oldest == kNow);
  CHECK(outbox.number("SELECT count(*) FROM metric_intervals") == 0);
  auto const batch = outbox.begin(7);
  REQUIRE(batch.has_value());
  auto const added = outbox.added(*batch);
  CHECK(added.rows == 4);
  REQUIRE(added.sums.size() == 3);
  auto const& [place, first] = *added.sums.begin();
  CHECK(added.series.at(place.first).metric == "accuracy");
  CHECK(added.series.at(place.first).source.hardware == "cam-a");
  CHECK(place.second == to_unix_ms(at));
  CHECK(first.count == 2);
  CHECK(first.sum == 1.5);
  CHECK(first.min == 0.5);
  CHECK(first.max == 1);
  CHECK(first.sketch.count() == 2);
  CHECK(outbox.end(*batch, added.rows));
  CHECK(outbox.waiting().rows == 0);
  CHECK_FALSE(outbox.begin(8).has_value());
}

TEST_CASE("a batch that was begun is the same one for whoever comes next, under its first number") {
  Outbox outbox;
  for (int i = 0; i < 5; ++i) outbox.fold("accuracy", kNow, 1);
  auto const first = outbox.begin(7, 3);
  outbox.fold("accuracy", kNow, 1);
  auto const again = outbox.begin(8, 3);
  REQUIRE(first.has_value());
  REQUIRE(again.has_value());
  CHECK(again->flush == 7);
  CHECK(again->until == first->until);
  CHECK(outbox.added(*again).rows == 3);
  CHECK(outbox.end(*again, 3));
  CHECK_FALSE(outbox.end(*first, 3));  // who was slower takes nothing more
  CHECK(outbox.waiting().rows == 3);
  auto const next = outbox.begin(9, 3);
  REQUIRE(next.has_value());
  CHECK(next->flush == 9);
  CHECK(outbox.added(*next).sums.begin()->second.count == 3);
}

TEST_CASE("rows that came into a batch after it was read are not dropped: it is sent again with them") {
  Outbox outbox;
  outbox.fold("accuracy", kNow, 1);
  outbox.fold("accuracy", kNow, 1);
  auto const batch = outbox.begin(7);
  REQUIRE(batch.has_value());
  auto const read = outbox.added(*batch).rows - 1;  // as if one had been committed since, by another server on the same database
  CHECK_FALSE(outbox.end(*batch, read));
  CHECK(outbox.waiting().rows == 2);
  CHECK(outbox.begin(8)->flush == 7);
  CHECK(outbox.end(*batch, 2));
}

TEST_CASE("samples of any age keep their minute for a sink, and a series stays while some of its samples wait") {
  Outbox outbox;
  auto const old = kNow - std::chrono::days{100} + seconds{90};
  outbox.fold("accuracy", old, 1);
  auto const batch = outbox.begin(7);
  CHECK(outbox.added(*batch).sums.begin()->first.second == to_unix_ms(old - seconds{30}));
  auto const later = kNow + std::chrono::days{500};
  auto const forget = [&](store::Tx& tx) { return forget_old(tx, later, 1'000); };
  outbox.write<bool>(forget);
  CHECK(outbox.number("SELECT count(*) FROM metric_series") == 1);
  CHECK(outbox.end(*batch, 1));
  outbox.write<bool>(forget);
  CHECK(outbox.number("SELECT count(*) FROM metric_series") == 0);
}

TEST_CASE("what was kept before there was a sink moves to its outbox, in pieces, and counts once") {
  Outbox outbox;
  for (int i = 0; i < 5; ++i) outbox.fold("accuracy", kNow - std::chrono::minutes{i}, 1, false);
  outbox.fold("accuracy", kNow, 1, false);
  auto const move = [&](store::Tx& tx) { return move_to_outbox(tx, kNow, 3); };
  CHECK(outbox.write<bool>(move));
  CHECK(outbox.number("SELECT count(*) FROM metric_intervals") == 2);
  CHECK_FALSE(outbox.write<bool>(move));
  CHECK_FALSE(outbox.write<bool>(move));
  CHECK(outbox.number("SELECT count(*) FROM metric_intervals") == 0);
  auto const added = outbox.added(*outbox.begin(7));
  CHECK(added.rows == 5);
  std::int64_t samples = 0;
  for (auto const& [place, sum] : added.sums) samples += sum.count;
  CHECK(samples == 6);
}

TEST_CASE("a sink is behind when a batch failed or samples wait, and full when no more may") {
  SinkFigures figures;
  CHECK(state_of(figures, {}, 10, kNow) == "ok");
  CHECK(state_of(figures, {3, kNow - seconds{30}}, 10, kNow) == "ok");
  CHECK(state_of(figures, {3, kNow - seconds{90}}, 10, kNow) == "behind");
  CHECK(state_of(figures, {10, kNow}, 10, kNow) == "full");
  figures.failing = "refused";
  CHECK(state_of(figures, {}, 10, kNow) == "behind");
}
