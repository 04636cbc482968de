#pragma once

#include "server/registry/device_quota.hpp"
#include "server/store/store.hpp"

#include <string>

namespace fleet::telemetry {

/// What samples are summed up under.
struct Series {
  std::string metric, model, version, hardware;
};
/// Where a device's samples go whose names, or whose series, would be too many: one series a model, visible like any other.
inline constexpr std::string_view kOther = "other";
inline constexpr std::int64_t kMetricsOfModel = 200;
inline constexpr std::int64_t kSeriesOfFleet = 100'000;

/// True: samples of `series` may be kept. A series that is new is written down while the model has names left, the fleet has series left, and the
/// device's own share lasts: nobody alone uses up what is there for all.
[[nodiscard]] Result<bool> admit(store::Tx& tx, Series const& series, registry::DeviceQuota& quota, SysTime now);
/// Forgets at most `rows` buckets, and as many series and names, that are older than the retention, the oldest first.
/// @returns true when a step later would find more
[[nodiscard]] Result<bool> forget_old(store::Tx& tx, SysTime now, int rows);

}  // namespace fleet::telemetry
