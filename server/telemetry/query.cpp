#include "server/telemetry/query.hpp"

#include "server/telemetry/terms.hpp"

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
constexpr auto kStats = std::to_array<StatName>({{"mean", Stat::mean}, {"rate", Stat::rate}, {"count", Stat::count}, {"p50", Stat::p50}, {"p95", Stat::p95}, {"flagged", Stat::flagged}});

using Steps = std::map<std::int64_t, Sum>;

bool needs_sketch(Stat stat) { return stat == Stat::p50 || stat == Stat::p95 || stat == Stat::rate; }

/// @param length  of the step
double value_of(Sum const& step, SeriesQuery const& query, Millis length) {
  auto const step_s = std::chrono::duration<double>(length).count();
  switch (query.stat) {
    case Stat::mean: return step.sum / static_cast<double>(step.count);
    case Stat::count: return static_cast<double>(step.count);
    case Stat::flagged: return static_cast<double>(step.flagged);
    case Stat::p50: return step.sketch.quantile(0.50);
    case Stat::p95: return step.sketch.quantile(0.95);
    // Counters and gauges have no sketch.
    case Stat::rate: return (step.sketch.count() > 0 ? static_cast<double>(step.count) : step.sum) / step_s;
  }
  return 0;
}

bool can_answer(Sum const& step, Stat stat) {
  if (stat == Stat::flagged) return true;
  return step.count > 0 && (step.sketch.count() > 0 || (stat != Stat::p50 && stat != Stat::p95));
}

std::string field_of(Source const& source, std::string const& name) {
  if (name == "model") return source.model;
  if (name == "version") return source.version;
  if (name == "hardware") return source.hardware;
  auto const found = source.labels.find(name);
  return found == source.labels.end() ? std::string() : found->second;
}

json::object to_json(std::vector<std::string> const& values, Steps const& steps, SeriesQuery const& query, Intervals const& intervals) {
  json::object labels;
  for (std::size_t i = 0; i < values.size(); ++i) labels[query.by[i]] = values[i];
  json::array points, flagged;
  for (auto const& [start, step] : steps) {
    if (step.flagged > 0) flagged.push_back(json::array{to_rfc3339(from_unix_ms(start)), step.flagged});
    if (!can_answer(step, query.stat)) continue;
    // Of what is kept in longer intervals than the step the interval counts.
    auto const value = value_of(step, query, std::max(query.step, intervals.length_at(from_unix_ms(start), query.now)));
    if (!std::isfinite(value)) continue;  // JSON has no infinity
    points.push_back(json::array{to_rfc3339(from_unix_ms(start)), query.stat == Stat::count || query.stat == Stat::flagged ? value : rounded(value)});
  }
  json::object out{{"labels", std::move(labels)}, {"points", std::move(points)}};
  if (!flagged.empty()) out["flagged"] = std::move(flagged);
  return out;
}

}  // namespace

Result<SeriesQuery> parse_query(RawQuery const& raw, registry::Limits const& limits, std::vector<std::string> const& labels, SysTime now) {
  Terms terms(labels, now);
  SeriesQuery query{.wanted = {.metric = raw.metric, .model = raw.model.empty() ? limits.model : raw.model, .version = raw.version}};
  if (raw.metric.empty()) terms.fault("metric", "is required: the name of a metric, such as accuracy");
  query.wanted.since = std::chrono::floor<std::chrono::minutes>(terms.since(raw.since));
  query.step = terms.step(raw.step, "5m");
  query.wanted.step = query.step;
  auto const stat = std::find_if(kStats.begin(), kStats.end(), [&](auto const& row) { return row.name == (raw.stat.empty() ? "mean" : raw.stat); });
  if (stat != kStats.end()) query.stat = stat->stat;
  else terms.fault("stat", fmt::format("\"{}\" is none of mean, rate, count, p50, p95, flagged", raw.stat));
  query.by = terms.by(raw.by);
  query.wanted.selector = terms.selector(raw.selector, raw.groups);
  query.wanted.sketches = needs_sketch(query.stat);
  query.wanted.known = limiting_labels(limits);
  query.now = now;
  if (terms.faults().empty() && (now - query.wanted.since) / query.step > SeriesQuery::kPointsMax)
    terms.fault("step", fmt::format("{} from {} on are more than {} points", to_string(query.step), to_rfc3339(query.wanted.since), SeriesQuery::kPointsMax));
  if (terms.faults().empty()) return query;
  return bad_query(std::move(terms.faults()));
}

Result<std::string> run_query(Intervals const& intervals, SeriesQuery const& query) {
  std::map<std::vector<std::string>, Steps> series;
  std::size_t points = 0, buckets = 0;
  FLEET_CHECK(intervals.each(query.wanted, [&](Source const& source, std::int64_t start, Sum const& sum) -> Result<void> {
    std::vector<std::string> values;
    for (auto const& name : query.by) values.push_back(field_of(source, name));
    auto const [at, is_new] = series[std::move(values)].try_emplace(start - start % query.step.count());
    if (is_new && ++points > SeriesQuery::kAllPointsMax)
      return bad_query({{"by", fmt::format("this is more than {} points: a longer step, a later since, or fewer series", SeriesQuery::kAllPointsMax)}});
    auto& step = at->second;
    step.add(sum.count, sum.sum, sum.min, sum.max);
    step.flagged += sum.flagged;
    auto const before = step.sketch.buckets().size();
    step.sketch.merge(sum.sketch);
    buckets += step.sketch.buckets().size() - before;
    if (buckets > SeriesQuery::kBucketsMax) return bad_query({{"stat", "quantiles of so much take too much memory: a longer step, a later since, or fewer series"}});
    return {};
  }));
  json::array list;
  for (auto const& [values, steps] : series) list.push_back(to_json(values, steps, query, intervals));
  auto const stat = std::find_if(kStats.begin(), kStats.end(), [&](auto const& row) { return row.stat == query.stat; });
  return json::serialize(json::object{{"metric", query.wanted.metric}, {"stat", stat->name}, {"series", std::move(list)}});
}

}  // namespace fleet::telemetry
