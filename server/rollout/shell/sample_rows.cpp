#include "server/rollout/shell/sample_rows.hpp"

#include "server/rollout/shell/queries.hpp"

#include <algorithm>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

/// A device's row as its samples need it.
struct Measuring {
  std::string state;
  bool healthy = false;
  bool exposed = false;
  Arm arm = Arm::canary;
  int window = 0;
  std::optional<Digest> from;  ///< what it ran when it was told
};
Result<std::optional<Measuring>> find_measuring(store::Tx& tx, std::int64_t rollout_n, std::int64_t device_n) {
  auto row = tx.prepare(queries::kMeasuring);
  row.bind_all(rollout_n, device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return std::optional<Measuring>{};
  Measuring out{row.text(0), row.maybe_text(1).value_or("") == ds::kHealthy, row.int64(2) != 0, parse_arm(row.text_view(3)), static_cast<int>(row.int64(4)), {}};
  if (!row.is_null(5)) out.from = row.digest(5);
  return std::optional(std::move(out));
}

/// Are samples that carry this digest evidence of the arm that the device is in?
bool is_of_arm(Measuring const& row, Rollout const& rollout, std::string_view digest) {
  bool const of_release = rollout.digest.hex() == digest;
  if (row.arm == Arm::canary) return row.exposed && of_release;
  bool const proves = row.window != 0 && row.state != ds::kDropped && row.state != ds::kLeft;
  return proves && !of_release && (!row.from || row.from->hex() == digest);
}

/// Takes one metric of a report into its gate's row. True: what is counted of the device changed.
Result<bool> add_samples(store::Tx& tx, RolloutView const& view, std::int64_t device_n, Measuring const& row, AbsoluteGate const& gate, SysTime at,
                         wire::MetricsItem::Metric const& metric) {
  DeviceSamples samples;
  std::optional<int> was;
  {
    auto find = tx.prepare(queries::kSamplesRow);
    find.bind_all(view.rollout.n, gate.metric, device_n);
    FLEET_TRY(bool const found, find.step());
    if (found) {
      FLEET_TRY(samples, decode_samples(find.text_view(0)));
      was = static_cast<int>(find.int64(1));
    }
  }
  auto const before = samples;
  add(samples, gate, view.range_of(gate.metric), at, metric.count, metric.sum);
  if (samples == before) return false;
  auto const now = class_of(samples, gate);
  bool const healthy = row.healthy && row.arm == Arm::canary;
  auto put = tx.prepare(queries::kPutSamples);
  put.bind_all(view.rollout.n, gate.metric, device_n, to_string(row.arm), encode(samples), now, healthy);
  FLEET_CHECK(put.run());
  return was != now;
}

}  // namespace

Result<void> note_metrics(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::MetricsItem const& item, SysTime now,
                          std::vector<std::int64_t>& changed) {
  auto const of_model = snapshot.models.find(item.model);
  if (item.digest.empty() || of_model == snapshot.models.end()) return {};
  for (auto const& view : of_model->second.live) {
    auto const& rollout = view->rollout;
    if (!rollout.policy.reads_samples()) continue;
    FLEET_TRY(auto const row, find_measuring(tx, rollout.n, device.n));
    if (!row || !is_of_arm(*row, rollout, item.digest)) continue;
    bool moved = false;
    for (auto const& metric : item.metrics)
      for (auto const& gate : rollout.policy.absolute) {
        if (gate.metric != metric.name || gate.metric == kInstallFailure) continue;
        FLEET_TRY(bool const counted, add_samples(tx, *view, device.n, *row, gate, std::min(item.until, now), metric));
        moved = moved || counted;
      }
    if (moved) changed.push_back(rollout.n);
  }
  return {};
}

Result<void> drop_samples(store::Tx& tx, Rollout const& rollout, std::int64_t device_n) {
  if (!rollout.policy.reads_samples()) return {};
  return tx.prepare(queries::kDropSamples).bind_all(rollout.n, device_n).run();
}

Result<void> note_healthy(store::Tx& tx, Rollout const& rollout, std::int64_t device_n, bool healthy) {
  if (!rollout.policy.reads_samples()) return {};
  return tx.prepare(queries::kSetSamplesHealthy).bind_all(rollout.n, device_n, healthy).run();
}

}  // namespace fleet::rollout
