#pragma once

#include "core/base/time.hpp"
#include "server/registry/limits.hpp"
#include "server/telemetry/intervals.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace fleet::telemetry {

enum class Stat { mean, rate, count, p50, p95, flagged };

/// GET /telemetry/query, decoded.
struct SeriesQuery {
  static constexpr std::int64_t kPointsMax = 11'000;      ///< of a series: a week of minutes
  static constexpr std::size_t kAllPointsMax = 500'000;  ///< of all together
  static constexpr std::size_t kBucketsMax = 1'000'000;  ///< of sketches that are held at one time: some 50 MB
  Wanted wanted;
  Millis step{300'000};
  Stat stat = Stat::mean;
  SysTime now{};
  std::vector<std::string> by = {};  ///< of model, version, hardware and the labels that samples are kept by
};

/// The parameters as a request has them; empty ones take their defaults.
struct RawQuery {
  std::string metric = {}, model = {}, version = {}, since = {}, step = {}, stat = {}, by = {}, selector = {};
  registry::Selector::Groups groups = {};  ///< that the selector names (terms.hpp)
};
/// A query that names no model is of the one that `limits` cover. Samples are summed over devices: a query with a selector is within limits by its words.
/// @param labels  that samples are kept by (labels.hpp)
/// @errors bad_input with every fault and its parameter
[[nodiscard]] Result<SeriesQuery> parse_query(RawQuery const& raw, registry::Limits const& limits, std::vector<std::string> const& labels, SysTime now);

/// The answer as JSON: `{"metric","stat","series":[{"labels":{},"points":[[time, value]],"flagged":[[time, samples]]}]}`. Steps without samples have no point;
/// what was flagged in a step is counted beside it, where there was any, and in no value.
/// `rate` is per second: of a counter its sum, of samples their number.
/// @errors bad_input: more points than kAllPointsMax, more buckets than kBucketsMax
[[nodiscard]] Result<std::string> run_query(Intervals const& intervals, SeriesQuery const& query);

}  // namespace fleet::telemetry
