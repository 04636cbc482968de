#include "server/telemetry/query.hpp"

#include "core/stats/sketch.hpp"
#include "server/telemetry/fold.hpp"
#include "server/telemetry/queries.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace fleet::telemetry {
namespace {

namespace json = boost::json;

struct StatName {
  std::string_view name;
  Stat stat;
};
constexpr auto kStats = std::to_array<StatName>({{"mean", Stat::mean}, {"rate", Stat::rate}, {"count", Stat::count}, {"p50", Stat::p50}, {"p95", Stat::p95}});
constexpr std::array<std::string_view, 3> kLabels{"model", "version", "hardware"};  // in the order of kReadSeries' columns

/// What one step of one series sums up.
struct Step {
  std::int64_t count = 0;
  double sum = 0;
  stats::Sketch sketch;
};
using Steps = std::map<std::int64_t, Step>;

bool needs_sketch(Stat stat) { return stat == Stat::p50 || stat == Stat::p95 || stat == Stat::rate; }

double value_of(Step const& step, SeriesQuery const& query) {
  auto const step_s = std::chrono::duration<double>(query.step).count();
  switch (query.stat) {
    case Stat::mean: return step.sum / static_cast<double>(step.count);
    case Stat::count: return static_cast<double>(step.count);
    case Stat::p50: return step.sketch.quantile(0.50);
    case Stat::p95: return step.sketch.quantile(0.95);
    // Counters and gauges have no sketch.
    case Stat::rate: return (step.sketch.count() > 0 ? static_cast<double>(step.count) : step.sum) / step_s;
  }
  return 0;
}

bool can_answer(Step const& step, Stat stat) { return step.sketch.count() > 0 || (stat != Stat::p50 && stat != Stat::p95); }

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    auto const end = std::min(text.find(','), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

Result<SysTime> parse_since(std::string const& text, SysTime now) {
  if (auto const at = parse_rfc3339(text)) return *at;
  FLEET_TRY(auto const ago, parse_duration(text));
  return now - ago;
}

json::object to_json(std::vector<std::string> const& values, Steps const& steps, SeriesQuery const& query) {
  json::object labels;
  for (std::size_t i = 0; i < values.size(); ++i) labels[query.by[i]] = values[i];
  json::array points;
  for (auto const& [start, step] : steps) {
    if (!can_answer(step, query.stat)) continue;
    auto const value = value_of(step, query);
    if (std::isfinite(value)) points.push_back(json::array{to_rfc3339(from_unix_ms(start)), value});  // JSON has no infinity
  }
  return {{"labels", std::move(labels)}, {"points", std::move(points)}};
}

}  // namespace

Result<SeriesQuery> parse_query(RawQuery const& raw, registry::Limits const& limits, SysTime now) {
  std::vector<FieldError> faults;
  SeriesQuery query{.metric = raw.metric, .model = raw.model.empty() ? limits.model : raw.model, .version = raw.version};
  if (raw.metric.empty()) faults.push_back({"metric", "is required: the name of a metric, such as accuracy"});
  auto const since = parse_since(raw.since.empty() ? "24h" : raw.since, now);
  if (since) query.since = std::max(*since, now - kRetention);
  else faults.push_back({"since", fmt::format("\"{}\" is neither a duration (24h) nor a time (RFC 3339)", raw.since)});
  auto const step = parse_duration(raw.step.empty() ? "5m" : raw.step);
  if (step && *step >= kInterval && *step % kInterval == Millis{0}) query.step = *step;
  else faults.push_back({"step", fmt::format("\"{}\" is no duration of whole minutes", raw.step)});
  auto const stat = std::find_if(kStats.begin(), kStats.end(), [&](auto const& row) { return row.name == (raw.stat.empty() ? "mean" : raw.stat); });
  if (stat != kStats.end()) query.stat = stat->stat;
  else faults.push_back({"stat", fmt::format("\"{}\" is none of mean, rate, count, p50, p95", raw.stat)});
  query.by = split(raw.by);
  for (auto const& label : query.by)
    if (std::find(kLabels.begin(), kLabels.end(), label) == kLabels.end() || std::count(query.by.begin(), query.by.end(), label) > 1)
      faults.push_back({"by", fmt::format("\"{}\" is none of model, version, hardware, each once", label)});
  if (auto selector = registry::Selector::parse(raw.selector)) {
    query.selector = std::move(*selector);
    for (auto const& condition : query.selector.conditions())
      if (condition.key != "hardware") faults.push_back({"selector", fmt::format("\"{}\": samples are kept by hardware, not by label", condition.key)});
  } else {
    faults.push_back({"selector", selector.error().detail});
  }
  if (faults.empty() && (now - query.since) / query.step > SeriesQuery::kPointsMax)
    faults.push_back({"step", fmt::format("{} from {} on are more than {} points", to_string(query.step), to_rfc3339(query.since), SeriesQuery::kPointsMax)});
  if (faults.empty()) return query;
  return Error{Kind::bad_input, "bad_query", "the query's parameters are not acceptable", "see docs/api.md, Telemetry", std::move(faults)};
}

Result<std::string> run_query(db::Connection& reader, SeriesQuery const& query) {
  std::map<std::vector<std::string>, Steps> series;
  auto rows = reader.prepare(kReadSeries);
  rows.bind_all(query.metric, to_unix_ms(std::chrono::floor<std::chrono::minutes>(query.since)), query.model, query.version);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    if (!query.selector.matches({.id = {}, .hardware = rows.text_view(2), .state = {}})) continue;
    std::vector<std::string> labels;
    for (auto const& label : query.by) labels.push_back(rows.text(static_cast<int>(std::find(kLabels.begin(), kLabels.end(), label) - kLabels.begin())));
    auto const start = rows.int64(3);
    auto& step = series[std::move(labels)][start - start % query.step.count()];
    step.count += rows.int64(4);
    step.sum += rows.real(5);
    if (!needs_sketch(query.stat)) continue;
    FLEET_TRY(auto const buckets, decode_buckets(rows.text_view(6)));
    step.sketch.merge(stats::Sketch(buckets));
  }
  json::array list;
  for (auto const& [labels, steps] : series) list.push_back(to_json(labels, steps, query));
  auto const stat = std::find_if(kStats.begin(), kStats.end(), [&](auto const& row) { return row.stat == query.stat; });
  return json::serialize(json::object{{"metric", query.metric}, {"stat", stat->name}, {"series", std::move(list)}});
}

}  // namespace fleet::telemetry
