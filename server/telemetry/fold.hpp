#pragma once

#include "core/wire/device.hpp"
#include "server/registry/device_quota.hpp"
#include "server/store/store.hpp"

#include <string>

namespace fleet::telemetry {

inline constexpr std::chrono::minutes kInterval{1};
inline constexpr std::chrono::hours kRetention{30 * 24};

inline constexpr std::size_t kBucketsOfSketch = 512;  ///< a spread of 28,000; of a wider one the lowest are counted together

/// Who reports.
struct Reporting {
  std::string const& hardware;
  registry::DeviceQuota& new_series;
  registry::DeviceQuota& old_intervals;
};
/// Adds one reported interval to the buckets of (metric, model, version, hardware, minute). Samples without the digest of a known release
/// go to the empty version: they are no evidence for any. A device whose clock is ahead counts as of now; what is older than the retention is not kept.
/// What finds no place (series.hpp) is counted as the metric `other`.
Result<void> fold(store::Tx& tx, Reporting const& device, wire::MetricsItem const& item, SysTime now);

/// `{"12":3}`, as the column `sketch` holds it.
[[nodiscard]] std::string encode_buckets(std::map<int, std::int64_t> const& buckets);
/// @errors corrupt
[[nodiscard]] Result<std::map<int, std::int64_t>> decode_buckets(std::string_view json);

}  // namespace fleet::telemetry
