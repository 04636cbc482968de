#include "server/telemetry/features.hpp"

#include "server/telemetry/names.hpp"
#include "server/telemetry/terms.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace fleet::telemetry {
namespace {

namespace json = boost::json;

constexpr int kNamesMax = 1'000;  ///< more than a model may have

/// JSON has no infinity.
json::value finite(double value) { return std::isfinite(value) ? json::value(rounded(value)) : json::value(nullptr); }

/// The lines of one metric: a step is told once the next one begins.
class Lines {
public:
  Lines(FeaturesQuery const& query, Intervals const& intervals, Metric const& metric, std::string& out, std::size_t& count)
      : query_(query), intervals_(intervals), metric_(metric), out_(out), count_(count) {}

  Result<void> add(Source const& source, std::int64_t start, Sum const& sum) {
    auto const begins = start - start % query_.step.count();
    if (source.n != source_.n || begins != begins_) FLEET_CHECK(finish());
    if (source.n != source_.n) {
      source_ = source;
      before_.reset();
    }
    begins_ = begins;
    step_.add(sum.count, sum.sum, sum.min, sum.max);
    step_.flagged += sum.flagged;
    step_.sketch.merge(sum.sketch);
    return {};
  }

  Result<void> finish() {
    if (step_.count == 0) {
      step_ = {};
      return {};
    }
    if (++count_ > FeaturesQuery::kLinesMax)
      return bad_query({{"step", fmt::format("this is more than {} lines: a longer step, a later since, or metrics by name", FeaturesQuery::kLinesMax)}});
    auto const step_s = std::chrono::duration<double>(std::max(query_.step, intervals_.length_at(from_unix_ms(begins_), query_.now))).count();
    bool const counts = metric_.type == "counter";
    auto const value = counts ? step_.sum : step_.sum / static_cast<double>(step_.count);
    bool const spread = step_.sketch.count() > 0;
    auto const quantile = [&](double q) { return spread ? finite(step_.sketch.quantile(q)) : json::value(nullptr); };
    json::object labels;
    for (auto const& [name, text] : source_.labels) labels[name] = text;
    json::object const line{{"time", to_rfc3339(from_unix_ms(begins_))},
                            {"step_s", query_.step.count() / 1'000},
                            {"model", source_.model},
                            {"version", source_.version},
                            {"hardware", source_.hardware},
                            {"labels", std::move(labels)},
                            {"metric", metric_.name},
                            {"type", metric_.type.empty() ? json::value(nullptr) : json::value(metric_.type)},
                            {"count", step_.count},
                            {"flagged", step_.flagged},
                            {"rate", finite((counts ? step_.sum : static_cast<double>(step_.count)) / step_s)},
                            {"mean", finite(step_.sum / static_cast<double>(step_.count))},
                            {"min", finite(step_.min)},
                            {"max", finite(step_.max)},
                            {"p50", quantile(.5)},
                            {"p95", quantile(.95)},
                            {"delta", before_ ? finite(value - *before_) : json::value(nullptr)}};
    out_ += json::serialize(line) + "\n";
    before_ = value;
    step_ = {};
    return {};
  }

private:
  FeaturesQuery const& query_;
  Intervals const& intervals_;
  Metric const& metric_;
  std::string& out_;
  std::size_t& count_;
  Source source_;
  std::int64_t begins_ = 0;
  Sum step_;
  std::optional<double> before_;
};

}  // namespace

Result<FeaturesQuery> parse_features(RawFeatures const& raw, registry::Limits const& limits, std::vector<std::string> const& labels, SysTime now) {
  Terms terms(labels, now);
  FeaturesQuery query{.model = raw.model.empty() ? limits.model : raw.model, .version = raw.version, .metrics = split(raw.metric)};
  if (query.model.empty()) terms.fault("model", "is required");
  query.step = terms.step(raw.step, "1h");
  auto const since = to_unix_ms(terms.since(raw.since));
  query.since = from_unix_ms(since - since % query.step.count());  // a step is whole
  query.selector = terms.selector(raw.selector, raw.groups);
  query.known = limiting_labels(limits);
  query.now = now;
  if (terms.faults().empty()) return query;
  return bad_query(std::move(terms.faults()));
}

Result<std::string> run_features(db::Connection& reader, Intervals const& intervals, FeaturesQuery const& query) {
  std::string out;
  std::size_t count = 0;
  FLEET_TRY(auto const names, list_metrics(reader, query.model, "", "", kNamesMax));
  for (auto const& metric : names) {
    bool const named = query.metrics.empty() || std::find(query.metrics.begin(), query.metrics.end(), metric.name) != query.metrics.end();
    if (!named) continue;
    Lines lines(query, intervals, metric, out, count);
    Wanted const wanted{metric.name, query.model, query.version, query.since, query.selector, true, query.known, query.step};
    FLEET_CHECK(intervals.each(wanted, [&](Source const& source, std::int64_t start, Sum const& sum) { return lines.add(source, start, sum); }));
    FLEET_CHECK(lines.finish());
  }
  return out;
}

}  // namespace fleet::telemetry
