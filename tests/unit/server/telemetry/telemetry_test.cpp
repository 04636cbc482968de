#include "server/telemetry/fold.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/query.hpp"
#include "server/telemetry/series.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

using namespace fleet;
using namespace fleet::telemetry;

namespace {

SysTime const kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + std::chrono::hours{9}};

class Kept {
public:
  Kept() : dir_(std::filesystem::temp_directory_path() / ("fleet-telemetry-" + std::to_string(system_random().next()))) {
    std::filesystem::create_directories(dir_);
    auto opened = store::Store::open(dir_.string(), system_clock());
    REQUIRE(opened.has_value());
    store = std::move(*opened);
    write([](store::Tx& tx) {
      return tx.connection().script(
          "INSERT INTO models (name, created_at) VALUES ('reader', 0);"
          "INSERT INTO releases (n, model, version, digest, document, request, state, created_by, created_at) "
          "VALUES (1, 'reader', '1.0.0', x'" +
          std::string(64, 'a') + "', '{}', x'00', 'approved', 't', 0)");
    });
  }
  ~Kept() {
    store->close();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  void write(store::Store::Job const& job) {
    auto const written = store->write_wait(store::Lane::verbs, job);
    REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().detail));
  }
  void fold(std::string const& hardware, wire::MetricsItem const& item) {
    write([&](store::Tx& tx) -> Result<void> {
      FLEET_TRY(auto series, registry::DeviceQuota::load(tx, 1, registry::kSeriesOfDevice, kNow));
      FLEET_TRY(auto intervals, registry::DeviceQuota::load(tx, 1, registry::kIntervalsOfDevice, kNow));
      return telemetry::fold(tx, {hardware, series, intervals}, item, kNow);
    });
  }
  std::int64_t number(std::string const& sql) {
    auto row = store->reader().prepare(db::Query{sql, sql});
    REQUIRE(*row.step());
    return row.int64(0);
  }
  bool forget(SysTime now, int rows) {
    return *store->write_value<bool>(store::Lane::upkeep, [&](store::Tx& tx) { return forget_old(tx, now, rows); });
  }
  std::string query(RawQuery const& raw) {
    auto const parsed = parse_query(raw, registry::kUnlimited, kNow);
    REQUIRE_MESSAGE(parsed.has_value(), (parsed ? "" : parsed.error().errors.at(0).detail));
    auto const answer = run_query(store->reader(), *parsed);
    REQUIRE(answer.has_value());
    return *answer;
  }
  std::unique_ptr<store::Store> store;

private:
  std::filesystem::path dir_;
};

wire::MetricsItem sample(SysTime since, std::string const& digest, wire::MetricsItem::Metric metric) {
  wire::MetricsItem item;
  item.since = since;
  item.until = since + seconds{60};
  item.model = "reader";
  item.digest = digest;
  item.metrics = {std::move(metric)};
  return item;
}

wire::MetricsItem::Metric accuracy(std::int64_t count, double sum) {
  return {.name = "accuracy", .kind = "d", .count = count, .sum = sum, .min = 0, .max = 1, .buckets = {{0, count}}};
}

}  // namespace

TEST_CASE("samples of two devices fall into one bucket of their release, hardware and minute") {
  Kept kept;
  auto const at = kNow - std::chrono::minutes{10};
  kept.fold("cam-a", sample(at, std::string(64, 'a'), accuracy(10, 9)));
  kept.fold("cam-a", sample(at + seconds{30}, std::string(64, 'a'), accuracy(30, 21)));
  CHECK(kept.query({.metric = "accuracy",
                    .model = "reader",
                    .version = "1.0.0",
                    .since = "1h",
                    .step = "5m",
                    .stat = "mean",
                    .by = "version,hardware",
                    .selector = {}}) ==
        R"({"metric":"accuracy","stat":"mean","series":[{"labels":{"version":"1.0.0","hardware":"cam-a"},"points":[["2026-11-20T08:50:00Z",7.5E-1]]}]})");
}

TEST_CASE("samples without a known release are evidence for none") {
  Kept kept;
  kept.fold("cam-a", sample(kNow, "", accuracy(10, 9)));
  kept.fold("cam-a", sample(kNow, std::string(64, 'f'), accuracy(10, 9)));
  CHECK(kept.query({.metric = "accuracy", .model = {}, .version = {}, .since = {}, .step = "1m", .stat = "count", .by = "version", .selector = {}}) ==
        R"({"metric":"accuracy","stat":"count","series":[{"labels":{"version":""},"points":[["2026-11-20T09:00:00Z",2E1]]}]})");
}

TEST_CASE("a device whose clock is ahead counts as of now, and numbers that are none are left out") {
  Kept kept;
  kept.fold("cam-a", sample(kNow + std::chrono::hours{24 * 365}, "", accuracy(1, 1)));
  kept.fold("cam-a", sample(kNow, "", accuracy(1, std::numeric_limits<double>::infinity())));
  CHECK(kept.query({.metric = "accuracy", .model = {}, .version = {}, .since = "1h", .step = "1m", .stat = "count", .by = {}, .selector = {}}) ==
        R"({"metric":"accuracy","stat":"count","series":[{"labels":{},"points":[["2026-11-20T09:00:00Z",1E0]]}]})");
}

TEST_CASE("rates count samples of a distribution and sums of a counter, quantiles come from merged sketches") {
  Kept kept;
  kept.fold("cam-a", sample(kNow, "", {.name = "inferences", .kind = "c", .count = 3, .sum = 600, .min = 200, .max = 200, .buckets = {}}));
  kept.fold("cam-a", sample(kNow, "", {.name = "latency_ms", .kind = "ms", .count = 60, .sum = 600, .min = 10, .max = 10, .buckets = {{116, 60}}}));
  CHECK(kept.query({.metric = "inferences", .model = {}, .version = {}, .since = "1h", .step = "1m", .stat = "rate", .by = {}, .selector = {}}).find(",1E1]") !=
        std::string::npos);
  CHECK(kept.query({.metric = "latency_ms", .model = {}, .version = {}, .since = "1h", .step = "1m", .stat = "rate", .by = {}, .selector = {}}).find(",1E0]") !=
        std::string::npos);
  auto const p95 = kept.query({.metric = "latency_ms", .model = {}, .version = {}, .since = "1h", .step = "1m", .stat = "p95", .by = {}, .selector = {}});
  CHECK(p95.find("[[\"2026-11-20T09:00:00Z\",") != std::string::npos);
  CHECK(kept.query({.metric = "inferences", .model = {}, .version = {}, .since = "1h", .step = "1m", .stat = "p95", .by = {}, .selector = {}})
            .find("\"points\":[]") != std::string::npos);
}

TEST_CASE("a selector of hardware chooses whose samples count") {
  Kept kept;
  for (auto const hardware : {"cam-a", "cam-b", "cam-c"})
    kept.fold(hardware, sample(kNow, "", {.name = "inferences", .kind = "c", .count = 1, .sum = 60, .min = 60, .max = 60, .buckets = {}}));
  RawQuery query{
      .metric = "inferences", .model = {}, .version = {}, .since = "1h", .step = "1m", .stat = "count", .by = {}, .selector = "hardware in (cam-a,cam-b)"};
  CHECK(kept.query(query).find(",2E0]") != std::string::npos);
  query.selector = "";
  CHECK(kept.query(query).find(",3E0]") != std::string::npos);
}

TEST_CASE("parameters that are not acceptable are all named") {
  auto const refused = parse_query(
      {.metric = "", .model = {}, .version = {}, .since = "yesterday", .step = "90s", .stat = "median", .by = "site", .selector = "site=lab"}, registry::kUnlimited, kNow);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == Kind::bad_input);
  std::vector<std::string> named;
  for (auto const& fault : refused.error().errors) named.push_back(fault.pointer);
  CHECK(named == std::vector<std::string>{"metric", "since", "step", "stat", "by", "selector"});
  CHECK_FALSE(parse_query({.metric = "m", .model = {}, .version = {}, .since = "30d", .step = "1m", .stat = {}, .by = {}, .selector = {}}, registry::kUnlimited, kNow).has_value());
}

TEST_CASE("what is older than the retention is not kept, and goes in steps, with series and names that nobody reports any more") {
  Kept kept;
  kept.fold("cam-a", sample(kNow - kRetention - std::chrono::hours{1}, "", accuracy(1, 1)));
  CHECK(kept.number("SELECT count(*) FROM telemetry") == 0);
  for (int i = 0; i < 5; ++i) kept.fold("cam-a", sample(kNow - std::chrono::hours{i}, "", accuracy(2, 1)));
  auto other = accuracy(4, 1);
  other.name = "confidence";
  kept.fold("cam-b", sample(kNow - std::chrono::hours{3}, "", other));
  CHECK(kept.number("SELECT many FROM telemetry_series_count") == 2);
  auto const later = kNow + kRetention - std::chrono::minutes{150};
  int steps = 1;
  while (kept.forget(later, 2)) ++steps;
  CHECK(steps == 2);
  CHECK(kept.number("SELECT sum(count) FROM telemetry") == 6);
  CHECK(kept.number("SELECT count(*) FROM telemetry_series") == 2);
  while (kept.forget(kNow + 2 * kRetention, 1)) {}
  for (auto const* const table : {"telemetry", "telemetry_series", "telemetry_metrics"}) CHECK(kept.number(std::string("SELECT count(*) FROM ") + table) == 0);
  CHECK(kept.number("SELECT many FROM telemetry_series_count") == 0);
}

TEST_CASE("a model's names have an end, and what comes after them is counted in one visible series") {
  Kept kept;
  for (int i = 0; i < 250; ++i) {
    auto metric = accuracy(2, 1);
    metric.name = "name-" + std::to_string(i);
    kept.fold("cam-a", sample(kNow, "", metric));
  }
  CHECK(kept.number("SELECT count(*) FROM telemetry_metrics") == kMetricsOfModel);
  CHECK(kept.query({.metric = "other", .model = "reader", .version = {}, .since = "1h", .step = "1m", .stat = "count", .by = "model", .selector = {}}) ==
        R"({"metric":"other","stat":"count","series":[{"labels":{"model":"reader"},"points":[["2026-11-20T09:00:00Z",1E2]]}]})");
  CHECK(kept.query({.metric = "other", .model = "reader", .version = {}, .since = "1h", .step = "1m", .stat = "rate", .by = "model", .selector = {}}) ==
        R"({"metric":"other","stat":"rate","series":[{"labels":{"model":"reader"},"points":[["2026-11-20T09:00:00Z",1.6666666666666667E0]]}]})");
}

TEST_CASE("a sketch that is stored has its bound, and keeps its upper quantiles") {
  Kept kept;
  wire::MetricsItem::Metric wide{.name = "latency_ms", .kind = "ms", .count = 4000, .sum = 4000, .min = 1, .max = 1, .buckets = {}};
  for (int key = -2000; key < 2000; ++key) wide.buckets[key] = 1;
  kept.fold("cam-a", sample(kNow, "", wide));
  kept.fold("cam-a", sample(kNow, "", wide));
  auto row = kept.store->reader().prepare(db::Query{"sketch", "SELECT sketch, count FROM telemetry"});
  REQUIRE(*row.step());
  auto const buckets = decode_buckets(row.text_view(0));
  REQUIRE(buckets.has_value());
  CHECK(buckets->size() == kBucketsOfSketch);
  CHECK(buckets->rbegin()->first == 1999);
  CHECK(row.int64(1) == 8000);
}

TEST_CASE("sketches survive their text, and damaged ones are told") {
  std::map<int, std::int64_t> const buckets{{-2001, 3}, {-5, 1}, {0, 7}, {1999, 9'000'000'000}};
  auto const decoded = decode_buckets(encode_buckets(buckets));
  REQUIRE(decoded.has_value());
  CHECK(*decoded == buckets);
  CHECK(encode_buckets({}) == "{}");
  for (auto const* damaged : {"", "{", "[]", "{\"1\":}", "{\"1\":2", "{\"1\":2,}", "{\"a\":2}", "{\"1\":2} ", "{1:2}"}) {
    CAPTURE(damaged);
    CHECK_FALSE(decode_buckets(damaged).has_value());
  }
}

TEST_CASE("every query of telemetry compiles on the newest schema") {
  Kept kept;
  for (auto const& query : kQueries) CHECK_NOTHROW((void)kept.store->reader().prepare(query));
}
