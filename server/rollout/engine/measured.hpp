#pragma once

#include "core/stats/sketch.hpp"
#include "core/wire/device.hpp"
#include "server/rollout/engine/samples.hpp"
#include "server/rollout/gates/evidence.hpp"
#include "server/rollout/policy/policy.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What one device measured of one metric, for the gates `metrics` and `drift`: a summary of bounded size. Pure.
namespace fleet::rollout {

/// Its samples since it switched; of a control, since it was told to prove.
struct DeviceSummary {
  static constexpr std::size_t kBucketsMax = 128;
  static constexpr std::size_t kBins = 10;

  std::int64_t count = 0;
  double sum = 0;
  stats::Sketch sketch;  ///< of kinds that agents sketch; at most kBucketsMax buckets
};

/// Takes samples in; those of an absurd sum are left out.
void add(DeviceSummary& summary, wire::MetricsItem::Metric const& metric);
/// The mean of its samples, or the quantile that the gate names: within 1 %. Nothing: it has sent none, or none that were sketched.
[[nodiscard]] std::optional<double> value_of(DeviceSummary const& summary, MetricGate const& gate);
/// Shares of its samples in kBins bins of one width over the range that its release declares; they add up to 1. Nothing: it has sent none that were sketched.
[[nodiscard]] std::optional<std::vector<double>> bins_of(DeviceSummary const& summary, MetricRange const& range);

/// For the device's row: some kilobytes of JSON at most. @errors corrupt
[[nodiscard]] std::string encode(DeviceSummary const& summary);
[[nodiscard]] Result<DeviceSummary> decode_summary(std::string_view json);

}  // namespace fleet::rollout
