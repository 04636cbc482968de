#include "server/telemetry/aging.hpp"
#include "server/telemetry/features.hpp"
#include "server/telemetry/fold.hpp"
#include "server/telemetry/labels.hpp"
#include "server/telemetry/names.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/query.hpp"
#include "server/telemetry/series.hpp"
#include "server/telemetry/sketches.hpp"

#include "core/base/random.hpp"
#include "core/stats/sketch.hpp"
#include "core/wire/release.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

using namespace fleet;
using namespace fleet::telemetry;

namespace {

SysTime const kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + std::chrono::hours{9}};

std::string document(std::string const& version, std::string const& unit) {
  wire::Release release;
  release.model = "reader";
  release.version = version;
  release.release_counter = 1;
  release.manifest.schema["accuracy"].unit = unit;
  release.variants.push_back({{"cam-a"}, {{"model.onnx", 5, Digest{}, false}}});
  return wire::encode(release);
}

class Kept {
public:
  Kept() : dir_(std::filesystem::temp_directory_path() / ("fleet-telemetry-" + std::to_string(system_random().next()))) {
    std::filesystem::create_directories(dir_);
    auto opened = store::Store::open(dir_.string(), system_clock());
    REQUIRE(opened.has_value());
    store = std::move(*opened);
    write([](store::Tx& tx) { return tx.connection().script("INSERT INTO models (name, created_at) VALUES ('reader', 0)"); });
    add_release(*Digest::parse(std::string(64, 'a')), "1.0.0", "");
  }
  void add_release(Digest const& digest, std::string const& version, std::string const& unit) {
    write([&](store::Tx& tx) {
      return tx.prepare({"test.release", "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) "
                                         "VALUES ('reader', ?1, ?2, ?3, ?2, 'approved', 't', 0)"})
          .bind_all(version, digest, document(version, unit))
          .run();
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
  void fold(std::string const& hardware, wire::MetricsItem const& item, wire::Labels const& labels = {}, SysTime now = kNow) {
    write([&](store::Tx& tx) -> Result<void> {
      FLEET_TRY(auto series, registry::DeviceQuota::load(tx, 1, registry::kSeriesOfDevice, now));
      FLEET_TRY(auto intervals, registry::DeviceQuota::load(tx, 1, registry::kIntervalsOfDevice, now));
      FLEET_TRY(auto const names, load_labels(tx.connection()));
      auto const kept = kept_by(names, labels);
      return telemetry::fold(tx, {hardware, kept, series, intervals, latest}, item, now);
    });
  }
  Result<void> keep_by(std::vector<std::string> names) {
    return store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return set_labels(tx, names, {kNow, "token:ops", "why", "req"}); });
  }
  bool add_up(SysTime now, int rows) {
    return *store->write_value<bool>(store::Lane::upkeep, [&](store::Tx& tx) { return add_up_old(tx, now, rows); });
  }
  std::vector<std::string> labels() { return *load_labels(store->reader()); }
  std::int64_t number(std::string const& sql) {
    auto row = store->reader().prepare(db::Query{sql, sql});
    REQUIRE(*row.step());
    return row.int64(0);
  }
  bool forget(SysTime now, int rows) {
    return *store->write_value<bool>(store::Lane::upkeep, [&](store::Tx& tx) { return forget_old(tx, now, rows); });
  }
  std::string query(RawQuery const& raw) {
    auto const parsed = parse_query(raw, registry::kUnlimited, labels(), kNow);
    REQUIRE_MESSAGE(parsed.has_value(), (parsed ? "" : parsed.error().errors.at(0).detail));
    auto const answer = run_query(OwnIntervals(store->reader()), *parsed);
    REQUIRE(answer.has_value());
    return *answer;
  }
  std::unique_ptr<store::Store> store;
  Latest latest;  ///< of whatever device folds

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

TEST_CASE("flagged samples are counted by the step, and move no mean, least or most; an interval of nothing else has no point") {
  Kept kept;
  auto const digest = std::string(64, 'a');
  auto const at = kNow - std::chrono::minutes{10};
  auto stuck = accuracy(0, 0);
  stuck.min = stuck.max = 0;
  stuck.buckets.clear();
  stuck.flagged[wire::Flag::stuck] = 7;
  kept.fold("cam-a", sample(at, digest, stuck));
  RawQuery const mean{.metric = "accuracy", .since = "1h", .step = "1m"};
  CHECK(kept.query(mean) == R"({"metric":"accuracy","stat":"mean","series":[{"labels":{},"points":[],"flagged":[["2026-11-20T08:50:00Z",7]]}]})");
  auto good = accuracy(2, 1.5);
  good.min = .7;
  good.max = .8;
  good.buckets = {{-17, 1}, {-11, 1}};
  good.flagged[wire::Flag::out_of_range] = 1;
  kept.fold("cam-a", sample(at, digest, good));
  kept.fold("cam-a", sample(at, digest, stuck));
  CHECK(kept.query(mean) == R"({"metric":"accuracy","stat":"mean","series":[{"labels":{},"points":[["2026-11-20T08:50:00Z",7.5E-1]],"flagged":[["2026-11-20T08:50:00Z",15]]}]})");
  auto flagged = mean;
  flagged.stat = "flagged";
  CHECK(kept.query(flagged).find(R"("points":[["2026-11-20T08:50:00Z",1.5E1]])") != std::string::npos);
  CHECK(kept.number("SELECT count(*) FROM metric_intervals WHERE min > 0.69 AND max < 0.81 AND flagged = 15") == 1);
  // Intervals that grow longer keep it.
  while (kept.add_up(kNow + std::chrono::days{20}, 100)) {
  }
  CHECK(kept.number("SELECT count(*) FROM metric_intervals WHERE min > 0.69 AND count = 2 AND flagged = 15") == 1);
}

TEST_CASE("a question by group is one by the labels of its selector; a list of ids, or a device, is told where to ask instead") {
  Kept kept;
  auto const shared = std::make_shared<registry::Selector const>(*registry::Selector::parse("site=lab"));
  auto const other = std::make_shared<registry::Selector const>(*registry::Selector::parse("floor=2"));
  REQUIRE(kept.keep_by({"site"}).has_value());
  for (auto const* const site : {"lab", "yard"}) kept.fold("cam-a", sample(kNow - std::chrono::minutes{10}, std::string(64, 'a'), accuracy(1, *site == 'l' ? 1 : 0)), {{"site", site}});
  RawQuery const raw{.metric = "accuracy", .since = "1h", .step = "1m", .selector = "group=berlin", .groups = {{"berlin", shared}, {"upstairs", other}, {"listed", nullptr}}};
  CHECK(kept.query(raw).find(R"(["2026-11-20T08:50:00Z",1E0])") != std::string::npos);
  auto negated = raw;
  negated.selector = "group!=berlin";
  CHECK(kept.query(negated).find(R"(["2026-11-20T08:50:00Z",0E0])") != std::string::npos);
  for (auto const& [selector, says] : std::to_array<std::pair<std::string, std::string>>({{"id=cam-1", "fleetctl telemetry latest ID"},
                                                                                         {"group=listed", "a list of ids"},
                                                                                         {"group=nobody", "there is no such group"},
                                                                                         {"group=upstairs", "group=upstairs, \"floor\""},
                                                                                         {"running=reader@1", "--release"}})) {
    auto wrong = raw;
    wrong.selector = selector;
    auto const refused = parse_query(wrong, registry::kUnlimited, kept.labels(), kNow);
    REQUIRE_FALSE(refused.has_value());
    CHECK_MESSAGE(refused.error().errors.at(0).detail.find(says) != std::string::npos, refused.error().errors.at(0).detail);
  }
}

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
      {.metric = "", .model = {}, .version = {}, .since = "yesterday", .step = "90s", .stat = "median", .by = "site", .selector = "site=lab"}, registry::kUnlimited, {}, kNow);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == Kind::bad_input);
  std::vector<std::string> named;
  for (auto const& fault : refused.error().errors) named.push_back(fault.pointer);
  CHECK(named == std::vector<std::string>{"metric", "since", "step", "stat", "by", "selector"});
  CHECK_FALSE(parse_query({.metric = "m", .model = {}, .version = {}, .since = "30d", .step = "1m", .stat = {}, .by = {}, .selector = {}}, registry::kUnlimited, {}, kNow).has_value());
}

TEST_CASE("what is older than the retention is not kept, and goes in steps, with series and names that nobody reports any more") {
  Kept kept;
  kept.fold("cam-a", sample(kNow - kRetention - std::chrono::hours{1}, "", accuracy(1, 1)));
  CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 0);
  for (int i = 0; i < 5; ++i) kept.fold("cam-a", sample(kNow - std::chrono::hours{i}, "", accuracy(2, 1)));
  auto other = accuracy(4, 1);
  other.name = "confidence";
  kept.fold("cam-b", sample(kNow - std::chrono::hours{3}, "", other));
  CHECK(kept.number("SELECT many FROM telemetry_series_count") == 2);
  auto const later = kNow + kRetention - std::chrono::minutes{150};
  int steps = 1;
  while (kept.forget(later, 2)) ++steps;
  CHECK(steps == 2);
  CHECK(kept.number("SELECT sum(count) FROM metric_intervals") == 6);
  CHECK(kept.number("SELECT count(*) FROM metric_series") == 2);
  while (kept.forget(kNow + 2 * kRetention, 1)) {}
  for (auto const* const table : {"metric_intervals", "metric_series", "metric_names"}) CHECK(kept.number(std::string("SELECT count(*) FROM ") + table) == 0);
  CHECK(kept.number("SELECT many FROM telemetry_series_count") == 0);
}

TEST_CASE("a model's names have an end, and what comes after them is counted in one visible series") {
  Kept kept;
  for (int i = 0; i < 250; ++i) {
    auto metric = accuracy(2, 1);
    metric.name = "name-" + std::to_string(i);
    kept.fold("cam-a", sample(kNow, "", metric));
  }
  CHECK(kept.number("SELECT count(*) FROM metric_names") == kMetricsOfModel);
  CHECK(kept.query({.metric = "other", .model = "reader", .version = {}, .since = "1h", .step = "1m", .stat = "count", .by = "model", .selector = {}}) ==
        R"({"metric":"other","stat":"count","series":[{"labels":{"model":"reader"},"points":[["2026-11-20T09:00:00Z",1E2]]}]})");
  CHECK(kept.query({.metric = "other", .model = "reader", .version = {}, .since = "1h", .step = "1m", .stat = "rate", .by = "model", .selector = {}}) ==
        R"({"metric":"other","stat":"rate","series":[{"labels":{"model":"reader"},"points":[["2026-11-20T09:00:00Z",1.66667E0]]}]})");
}

TEST_CASE("a sketch that is stored has its bound, and keeps its upper quantiles") {
  Kept kept;
  wire::MetricsItem::Metric wide{.name = "latency_ms", .kind = "ms", .count = 4000, .sum = 4000, .min = 0, .max = 1e18, .buckets = {}};
  for (int key = -2000; key < 2000; ++key) wide.buckets[key] = 1;
  kept.fold("cam-a", sample(kNow, "", wide));
  kept.fold("cam-a", sample(kNow, "", wide));
  auto row = kept.store->reader().prepare(db::Query{"sketch", "SELECT sketch, count FROM metric_intervals"});
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

TEST_CASE("samples are kept apart by the labels that were chosen, from then on") {
  Kept kept;
  auto const by_site = [&](std::string const& selector) {
    return kept.query({.metric = "accuracy", .model = {}, .version = {}, .since = "1h", .step = "5m", .stat = "count", .by = "site", .selector = selector});
  };
  wire::Labels const lab{{"region", "eu"}, {"serial", "17"}, {"site", "lab"}}, yard{{"site", "yard"}};
  kept.fold("cam-a", sample(kNow, "", accuracy(5, 5)), lab);
  REQUIRE(kept.keep_by({"site", "region"}).has_value());
  CHECK(kept.labels() == std::vector<std::string>{"region", "site"});
  kept.fold("cam-a", sample(kNow, "", accuracy(10, 9)), lab);
  kept.fold("cam-a", sample(kNow, "", accuracy(20, 9)), yard);
  kept.fold("cam-b", sample(kNow, "", accuracy(40, 9)), yard);
  auto const series = [](std::string const& site, std::string const& count) {
    return R"({"labels":{"site":")" + site + R"("},"points":[["2026-11-20T09:00:00Z",)" + count + "]]}";
  };
  CHECK(by_site("") == R"({"metric":"accuracy","stat":"count","series":[)" + series("", "5E0") + "," + series("lab", "1E1") + "," + series("yard", "6E1") + "]}");
  CHECK(by_site("site=lab") == R"({"metric":"accuracy","stat":"count","series":[)" + series("lab", "1E1") + "]}");
  CHECK(by_site("site!=lab,hardware=cam-a") == R"({"metric":"accuracy","stat":"count","series":[)" + series("", "5E0") + "," + series("yard", "2E1") + "]}");
  CHECK(kept.number("SELECT count(*) FROM metric_series WHERE labels LIKE '%serial%'") == 0);
  auto const refused = parse_query({.metric = "accuracy", .model = {}, .version = {}, .since = {}, .step = {}, .stat = {}, .by = "serial", .selector = "serial=17"},
                                   registry::kUnlimited, kept.labels(), kNow);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().errors.at(0).detail.find("region, site") != std::string::npos);
  REQUIRE(kept.keep_by({}).has_value());
  kept.fold("cam-a", sample(kNow, "", accuracy(80, 9)), lab);
  CHECK(kept.number("SELECT count FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.labels = '{}'") == 85);
  CHECK(kept.number("SELECT count(*) FROM audit WHERE action = 'telemetry.labels_changed'") == 2);
}

TEST_CASE("labels of too many values leave room for what comes without them, and end with their choice") {
  Kept kept;
  REQUIRE(kept.keep_by({"serial"}).has_value());
  kept.fold("cam-a", sample(kNow, "", accuracy(1, 1)), {{"serial", "1"}});
  kept.write([](store::Tx& tx) { return tx.connection().script("UPDATE telemetry_series_count SET many = " + std::to_string(kSeriesByLabels)); });
  kept.fold("cam-a", sample(kNow, "", accuracy(2, 1)), {{"serial", "2"}});
  kept.fold("cam-a", sample(kNow, "", accuracy(4, 1)), {{"serial", "3"}});
  kept.fold("cam-a", sample(kNow, "", accuracy(8, 1)), {{"serial", "1"}});
  CHECK(kept.number("SELECT count FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.labels = '{}'") == 6);
  CHECK(kept.number("SELECT count FROM metric_intervals i JOIN metric_series s ON s.n = i.series WHERE s.labels <> '{}'") == 9);
  auto const later = kNow + kOtherLabels + std::chrono::hours{1};
  REQUIRE(kept.keep_by({"serial", "site"}).has_value());
  while (kept.forget(later, 1)) {}
  CHECK_MESSAGE(kept.number("SELECT count(*) FROM metric_series") == 2, "it is chosen still");
  REQUIRE(kept.keep_by({"site"}).has_value());
  while (kept.forget(later, 1)) {}
  CHECK(kept.number("SELECT count(*) FROM metric_series WHERE labels <> '{}'") == 0);
  CHECK(kept.number("SELECT sum(count) FROM metric_intervals") == 6);
  CHECK(kept.number("SELECT many FROM telemetry_series_count") == kSeriesByLabels);
}

TEST_CASE("a device without a share keeps what it measures, without the labels") {
  Kept kept;
  kept.write([](store::Tx& tx) {
    return tx.connection().script("INSERT INTO devices (n, id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (1, 'd', 'cam-a', 'active', '{}', x'00', 0, 0)");
  });
  auto const fifty = [&] {
    for (int i = 0; i < 50; ++i) {
      auto metric = accuracy(1, 1);
      metric.name = "name-" + std::to_string(i);
      kept.write([&](store::Tx& tx) -> Result<void> {
        FLEET_TRY(auto series, registry::DeviceQuota::load(tx, 1, registry::kSeriesOfDevice, kNow));
        FLEET_TRY(auto intervals, registry::DeviceQuota::load(tx, 1, registry::kIntervalsOfDevice, kNow));
        FLEET_TRY(auto const names, load_labels(tx.connection()));
        FLEET_CHECK(telemetry::fold(tx, {"cam-a", kept_by(names, {{"site", "lab"}}), series, intervals, kept.latest}, sample(kNow, "", metric), kNow));
        return series.save(tx);
      });
    }
  };
  fifty();
  REQUIRE(kept.keep_by({"site"}).has_value());
  fifty();
  CHECK(kept.number("SELECT count(*) FROM metric_series WHERE labels <> '{}'") == 14);
  CHECK(kept.number("SELECT sum(count) FROM metric_intervals") == 100);
  CHECK(kept.number("SELECT count(*) FROM metric_series WHERE metric = 'other'") == 0);
}

TEST_CASE("who is limited by a label is told of no series that lacks it, whatever fits by its absence") {
  Kept kept;
  kept.fold("cam-a", sample(kNow, "", accuracy(100, 1)), {{"site", "yard"}});
  REQUIRE(kept.keep_by({"site"}).has_value());
  kept.fold("cam-a", sample(kNow, "", accuracy(3, 1)), {{"site", "lab"}});
  kept.fold("cam-a", sample(kNow, "", accuracy(5, 1)), {{"site", "yard"}});
  for (auto const* limit : {"site!=yard", "site notin (yard)"}) {
    auto const limits = *registry::Limits::read(kept.store->reader(), "", limit);
    auto const query = parse_query({.metric = "accuracy", .model = {}, .version = {}, .since = {}, .step = "5m", .stat = "count", .by = {}, .selector = limit}, limits, kept.labels(), kNow);
    REQUIRE(query.has_value());
    CHECK(run_query(OwnIntervals(kept.store->reader()), *query)->find(",3E0]") != std::string::npos);
  }
}

TEST_CASE("a sketch that is not of its samples spoils nobody's quantiles") {
  Kept kept;
  kept.fold("cam-a", sample(kNow, "", {.name = "latency_ms", .kind = "ms", .count = 60, .sum = 600, .min = 10, .max = 10, .buckets = {{116, 60}}}));
  kept.fold("cam-a", sample(kNow, "", {.name = "latency_ms", .kind = "ms", .count = 1, .sum = 10, .min = 10, .max = 10, .buckets = {{40'000, 1'000'000'000}}}));
  kept.fold("cam-a", sample(kNow, "", {.name = "latency_ms", .kind = "ms", .count = 1, .sum = 10, .min = 10, .max = 10, .buckets = {{1'999, 1}}}));
  auto row = kept.store->reader().prepare(db::Query{"sketch", "SELECT sketch, count FROM metric_intervals"});
  REQUIRE(*row.step());
  CHECK(row.text(0) == R"({"116":60})");
  CHECK(row.int64(1) == 62);
}

TEST_CASE("a rate is of the interval where that is longer than the step") {
  Kept kept;
  auto const at = kNow - std::chrono::days{3};
  kept.fold("cam-a", sample(at, "", {.name = "inferences", .kind = "c", .count = 600, .sum = 600, .min = 1, .max = 1, .buckets = {}}));
  for (auto const* step : {"1m", "5m", "10m"})
    CHECK(kept.query({.metric = "inferences", .model = {}, .version = {}, .since = "4d", .step = step, .stat = "rate", .by = {}, .selector = {}}).find(",1E0]") != std::string::npos);
}

TEST_CASE("labels that cannot be are refused, and change nothing") {
  Kept kept;
  REQUIRE(kept.keep_by({"site"}).has_value());
  for (auto const& names : std::vector<std::vector<std::string>>{{"a", "b", "c", "d", "e"}, {"site", "site"}, {"hardware"}, {"version"}, {"model"}, {"sp ace"}, {""}}) {
    CAPTURE(names.front());
    auto const done = kept.keep_by(names);
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == Kind::bad_input);
    CHECK(kept.labels() == std::vector<std::string>{"site"});
  }
}

TEST_CASE("what grows old is added up to longer intervals, in steps of any size, and nothing of it is lost") {
  using namespace std::chrono;
  for (int const rows : {1, 7, 1'000}) {
    CAPTURE(rows);
    Kept kept;
    wire::Labels const none;
    // A sample a minute over five hours, of two series, and what came late into an interval that was added up before.
    for (int minute = 0; minute < 300; ++minute)
      for (auto const* hardware : {"cam-a", "cam-b"})
        kept.fold(hardware, sample(kNow + minutes{minute}, "", {.name = "load", .kind = "d", .count = 1, .sum = 1. * minute, .min = 1. * minute, .max = 1. * minute, .buckets = {{stats::Sketch::key_of(minute), 1}}}), none, kNow + minutes{minute});
    CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 600);
    auto now = kNow + hours{5};
    while (kept.add_up(now, rows)) {}
    CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 600);
    now = kNow + days{2} + minutes{155};
    while (kept.add_up(now, rows)) {}
    CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 2 * (15 + 150));
    kept.fold("cam-a", sample(kNow + minutes{3}, "", {.name = "load", .kind = "d", .count = 1, .sum = 3, .min = 3, .max = 3, .buckets = {{stats::Sketch::key_of(3), 1}}}), none, now);
    CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 2 * (15 + 150));
    now = kNow + days{15};
    while (kept.add_up(now, rows)) {}
    CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 2 * 5);
    CHECK(kept.number("SELECT sum(count) FROM metric_intervals") == 601);
    CHECK(kept.number("SELECT CAST(sum(sum) AS INTEGER) FROM metric_intervals") == 2 * 299 * 150 + 3);
    auto row = kept.store->reader().prepare(db::Query{"first", "SELECT min, max, sketch FROM metric_intervals ORDER BY series, start LIMIT 1"});
    REQUIRE(*row.step());
    CHECK(row.real(0) == 0);
    CHECK(row.real(1) == 59);
    CHECK(decode_buckets(row.text_view(2))->at(stats::Sketch::key_of(3)) == 2);
    CHECK(stats::Sketch(*decode_buckets(row.text_view(2))).count() == 61);
  }
}

TEST_CASE("a clock that was years ahead for a while leaves nothing in short intervals for ever") {
  using namespace std::chrono;
  Kept kept;
  auto const counted = [&](SysTime at) {
    kept.fold("cam-a", sample(at, "", {.name = "hits", .kind = "c", .count = 1, .sum = 1, .min = 1, .max = 1, .buckets = {}}), {}, at);
  };
  auto const ahead = kNow + days{300};
  for (int minute = 0; minute < 10; ++minute) counted(ahead + minutes{minute});
  while (kept.add_up(ahead + days{3}, 1)) {}
  CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 1);
  for (int minute = 0; minute < 10; ++minute) counted(kNow + minutes{minute});
  CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 11);
  while (kept.add_up(kNow + days{3}, 1)) {}
  CHECK(kept.number("SELECT count(*) FROM metric_intervals") == 2);
  CHECK(kept.number("SELECT sum(count) FROM metric_intervals") == 20);
}

TEST_CASE("what devices measure is listed with type and unit") {
  Kept kept;
  kept.fold("cam-a", sample(kNow, "", accuracy(1, 1)));
  kept.fold("cam-a", sample(kNow, "", {.name = "inferences", .kind = "c", .count = 1, .sum = 5, .min = 5, .max = 5, .buckets = {}}));
  kept.add_release(Digest{}, "2.0.0", "1");
  auto const all = *list_metrics(kept.store->reader(), "", "", "", 10);
  REQUIRE(all.size() == 2);
  CHECK(metric_json(all[0]) == R"({"model":"reader","name":"accuracy","type":"distribution","unit":"1","last_seen":"2026-11-20T09:00:00Z"})");
  CHECK(metric_json(all[1]) == R"({"model":"reader","name":"inferences","type":"counter","unit":null,"last_seen":"2026-11-20T09:00:00Z"})");
  CHECK(list_metrics(kept.store->reader(), "", "reader", "accuracy", 10)->size() == 1);
  CHECK(list_metrics(kept.store->reader(), "other", "", "", 10)->empty());
}

TEST_CASE("features are windows of each series, with what changed from the one before") {
  Kept kept;
  REQUIRE(kept.keep_by({"site"}).has_value());
  auto const counted = [](double sum) { return wire::MetricsItem::Metric{.name = "inferences", .kind = "c", .count = 1, .sum = sum, .min = sum, .max = sum, .buckets = {}}; };
  kept.fold("cam-a", sample(kNow - std::chrono::hours{2}, "", counted(36)), {{"site", "lab"}});
  kept.fold("cam-a", sample(kNow - std::chrono::hours{2} + std::chrono::minutes{9}, "", counted(36)), {{"site", "lab"}});
  kept.fold("cam-a", sample(kNow - std::chrono::hours{1}, "", counted(144)), {{"site", "lab"}});
  kept.fold("cam-a", sample(kNow - std::chrono::hours{1}, std::string(64, 'a'), accuracy(10, 9)), {{"site", "yard"}});
  auto const ask = [&](RawFeatures const& raw) {
    auto const query = parse_features(raw, registry::kUnlimited, kept.labels(), kNow);
    REQUIRE(query.has_value());
    return *run_features(kept.store->reader(), OwnIntervals(kept.store->reader()), *query);
  };
  RawFeatures raw{.model = "reader", .version = {}, .metric = "inferences", .since = "3h", .step = {}, .selector = {}};
  CHECK(ask(raw) ==
        R"({"time":"2026-11-20T07:00:00Z","step_s":3600,"model":"reader","version":"","hardware":"cam-a","labels":{"site":"lab"},"metric":"inferences","type":"counter",)"
        R"("count":2,"flagged":0,"rate":2E-2,"mean":3.6E1,"min":3.6E1,"max":3.6E1,"p50":null,"p95":null,"delta":null})"
        "\n"
        R"({"time":"2026-11-20T08:00:00Z","step_s":3600,"model":"reader","version":"","hardware":"cam-a","labels":{"site":"lab"},"metric":"inferences","type":"counter",)"
        R"("count":1,"flagged":0,"rate":4E-2,"mean":1.44E2,"min":1.44E2,"max":1.44E2,"p50":null,"p95":null,"delta":7.2E1})"
        "\n");
  raw.metric.clear();
  raw.selector = "site=yard";
  auto const yard = ask(raw);
  CHECK(yard.find(R"("version":"1.0.0")") != std::string::npos);
  CHECK(yard.find(R"("mean":9E-1)") != std::string::npos);
  CHECK(yard.find("inferences") == std::string::npos);
  auto const refused = parse_features({.model = {}, .version = {}, .metric = {}, .since = "x", .step = "90s", .selector = "serial=1"}, registry::kUnlimited, kept.labels(), kNow);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().errors.size() == 4);
}

TEST_CASE("every query of telemetry compiles on the newest schema") {
  Kept kept;
  for (auto const& query : kQueries) CHECK_NOTHROW((void)kept.store->reader().prepare(query));
}
