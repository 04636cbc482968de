#pragma once

#include "core/wire/device.hpp"
#include "server/registry/device_quota.hpp"
#include "server/store/store.hpp"
#include "server/telemetry/ages.hpp"
#include "server/telemetry/labels.hpp"
#include "server/telemetry/latest.hpp"

#include <string>

namespace fleet::telemetry {

/// Who reports.
struct Reporting {
  std::string const& hardware;
  KeptBy const& kept;
  registry::DeviceQuota& new_series;
  registry::DeviceQuota& old_intervals;
  Latest& latest;  ///< what it measured last takes it in, too
  bool to_outbox = false;  ///< a sink keeps what is measured, in intervals of a minute whatever their age
};
/// Adds one reported interval to what is kept of its time, by metric, model, version, hardware and labels. Samples without the digest of a known release
/// go to the empty version: they are no evidence for any. A device whose clock is ahead counts as of now; what is older than the retention is not kept.
/// What finds no place (series.hpp) is counted as the metric `other`. Flagged samples are counted beside the others, and in no sum.
Result<void> fold(store::Tx& tx, Reporting const& device, wire::MetricsItem const& item, SysTime now);

}  // namespace fleet::telemetry
