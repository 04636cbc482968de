#pragma once

#include "server/registry/limits.hpp"
#include "server/telemetry/intervals.hpp"

#include <string>
#include <vector>

namespace fleet::telemetry {

/// GET /telemetry/features, decoded.
struct FeaturesQuery {
  static constexpr std::size_t kLinesMax = 100'000;
  std::string model, version;        ///< an empty version: all
  std::vector<std::string> metrics;  ///< empty: all of the model
  SysTime since{};
  Millis step{3'600'000};
  registry::Selector selector = {};
  std::vector<std::string> known = {};  ///< labels that a series must have (intervals.hpp)
  SysTime now{};
};
/// The parameters as a request has them; empty ones take their defaults.
struct RawFeatures {
  std::string model, version, metric, since, step, selector;
  registry::Selector::Groups groups = {};  ///< that the selector names (terms.hpp)
};
/// @param labels  that samples are kept by (labels.hpp)
/// @errors bad_input with every fault and its parameter
[[nodiscard]] Result<FeaturesQuery> parse_features(RawFeatures const& raw, registry::Limits const& limits, std::vector<std::string> const& labels, SysTime now);

/// What was measured in windows, for training pipelines: a JSON object a line, each one metric of one series in one step: `time`, `step_s`, `model`, `version`,
/// `hardware`, `labels`, `metric`, `type`, `count`, `rate` (per second), `mean`, `min`, `max`, `p50`, `p95` (null: no distribution) and `delta` from the step
/// before (of a counter's sum, else of the mean; null: there is none).
/// @errors bad_input: more lines than kLinesMax
/// @param reader  knows the names of what is measured
[[nodiscard]] Result<std::string> run_features(db::Connection& reader, Intervals const& intervals, FeaturesQuery const& query);

}  // namespace fleet::telemetry
