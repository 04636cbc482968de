#pragma once

#include "core/stats/sketch.hpp"
#include "server/registry/device_quota.hpp"
#include "server/store/store.hpp"
#include "server/telemetry/labels.hpp"

#include <optional>
#include <string>

namespace fleet::telemetry {

/// What samples are summed up under.
struct Series {
  std::string metric, model, version, hardware;
  KeptBy kept = {};
};
/// Where a device's samples go whose names, or whose series, would be too many: one series a model, visible like any other.
inline constexpr std::string_view kOther = "other";
inline constexpr std::int64_t kMetricsOfModel = 200;
inline constexpr std::int64_t kSeriesOfFleet = 100'000;
inline constexpr std::int64_t kSeriesByLabels = 80'000;  ///< of them at most: a label of too many values leaves room for what comes without

/// A series, and what is stored of one of its intervals.
struct Stored {
  std::int64_t n = 0;
  std::optional<stats::Sketch> sketch;  ///< nothing: the interval is new
};
/// The series, which is written down when it is new, while the model has names left, the fleet has series left, and the device's own share lasts: nobody alone
/// uses up what is there for all. Where labels have no room left, or the device no share, the series without them. Nothing: its samples find no place.
/// @param kind   of the samples: what the metric is from now on
/// @param start  of the interval, ms
[[nodiscard]] Result<std::optional<Stored>> find_series(store::Tx& tx, Series const& series, std::string_view kind, std::int64_t start, registry::DeviceQuota& quota,
                                                        SysTime now);
/// Where a model's samples go that found no place.
[[nodiscard]] Result<Stored> other_series(store::Tx& tx, std::string const& model, std::int64_t start, SysTime now);

}  // namespace fleet::telemetry
