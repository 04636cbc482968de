#pragma once

#include "core/wire/device.hpp"
#include "server/store/store.hpp"

#include <string>

namespace fleet::telemetry {

inline constexpr std::chrono::minutes kInterval{1};
inline constexpr std::chrono::hours kRetention{30 * 24};

/// Adds one reported interval to the buckets of (metric, model, version, hardware, minute). Samples without the digest of a known release
/// go to the empty version: they are no evidence for any. A device whose clock is ahead counts as of now.
Result<void> fold(store::Tx& tx, std::string const& hardware, wire::MetricsItem const& item, SysTime now);
/// Drops buckets older than `kRetention`.
Result<void> prune(store::Tx& tx, SysTime now);

/// `{"12":3}`, as the column `sketch` holds it.
[[nodiscard]] std::string encode_buckets(std::map<int, std::int64_t> const& buckets);
/// @errors corrupt
[[nodiscard]] Result<std::map<int, std::int64_t>> decode_buckets(std::string_view json);

}  // namespace fleet::telemetry
