#include "server/rollout/shell/sample_rows.hpp"

#include "server/rollout/engine/measured.hpp"
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
/// @param model  of the samples: the rollout's own, or a member's of its set
bool is_of_arm(Measuring const& row, RolloutView const& view, std::string_view model, std::string_view digest) {
  auto const& rollout = view.rollout;
  auto const member = std::find_if(view.members.begin(), view.members.end(), [&](SetMember const& one) { return one.model == model; });
  bool const of_set = member != view.members.end();
  bool const of_release = (of_set ? member->digest : rollout.shipped(row.arm).digest).hex() == digest;
  if (installs(row.arm)) return row.exposed && of_release;
  bool const proves = row.window != 0 && row.state != ds::kDropped && row.state != ds::kLeft;
  if (of_set) return proves;  // a member may be the same in both
  if (rollout.against) return proves && of_release;
  return proves && !of_release && (!row.from || row.from->hex() == digest);
}

/// A device's row of one metric; fresh where there is none.
struct SamplesRow {
  DeviceSamples samples;
  std::optional<int> counted;  ///< its class, as it is counted
  DeviceSummary summary;
};
Result<SamplesRow> find_samples(store::Tx& tx, std::int64_t rollout_n, std::int64_t device_n, std::string_view metric) {
  SamplesRow out;
  auto row = tx.prepare(queries::kSamplesRow);
  row.bind_all(rollout_n, metric, device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return out;
  FLEET_TRY(out.samples, decode_samples(row.text_view(0)));
  out.counted = static_cast<int>(row.int64(1));
  if (!row.text_view(2).empty()) {
    FLEET_TRY(out.summary, decode_summary(row.text_view(2)));
  }
  return out;
}

/// Takes one metric of a report into its device's row. True: what is counted of the device changed.
Result<bool> add_samples(store::Tx& tx, RolloutView const& view, std::int64_t device_n, Measuring const& measuring, SysTime at, wire::MetricsItem::Metric const& metric) {
  auto const& policy = view.rollout.policy;
  auto const gate = std::find_if(policy.absolute.begin(), policy.absolute.end(), [&](AbsoluteGate const& one) { return one.metric == metric.name; });
  bool const guarded = gate != policy.absolute.end() && metric.name != kInstallFailure, compared = policy.compares_metric(metric.name);
  auto const flagged = metric.flagged.all();
  if ((!guarded && !compared) || (metric.count <= 0 && flagged == 0)) return false;
  // Where most of an interval counts for nothing, the rest of it is luck.
  auto const good = flagged > 0 && flagged >= metric.count ? 0 : metric.count;
  if (!guarded && good == 0) return false;
  FLEET_TRY(auto row, find_samples(tx, view.rollout.n, device_n, metric.name));
  int sample_class = 0;
  if (guarded) {
    add(row.samples, *gate, view.range_of(metric.name), at, good, metric.sum);
    add_flagged(row.samples, flagged);
    sample_class = class_of(row.samples, *gate);
  }
  if (compared && good > 0) add(row.summary, metric);
  bool const healthy = measuring.healthy && measuring.arm == Arm::canary;
  auto put = tx.prepare(queries::kPutSamples);
  put.bind_all(view.rollout.n, metric.name, device_n, to_string(measuring.arm), guarded ? encode(row.samples) : "{}", sample_class, healthy,
               compared && row.summary.count > 0 ? encode(row.summary) : std::string());
  FLEET_CHECK(put.run());
  return row.counted != sample_class;
}

}  // namespace

Result<void> note_metrics(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::MetricsItem const& item, SysTime now,
                          std::vector<std::int64_t>& changed) {
  if (item.digest.empty()) return {};
  std::vector<ViewPtr> live;
  if (auto const own = snapshot.models.find(item.model); own != snapshot.models.end()) live = own->second.live;
  if (auto const sets = snapshot.sets_with.find(item.model); sets != snapshot.sets_with.end()) live.insert(live.end(), sets->second.begin(), sets->second.end());
  for (auto const& view : live) {
    auto const& rollout = view->rollout;
    if (!rollout.policy.reads_samples()) continue;
    FLEET_TRY(auto const row, find_measuring(tx, rollout.n, device.n));
    if (!row || !is_of_arm(*row, *view, item.model, item.digest)) continue;
    bool moved = false;
    for (auto const& metric : item.metrics) {
      FLEET_TRY(bool const counted, add_samples(tx, *view, device.n, *row, std::min(item.until, now), metric));
      moved = moved || counted;
    }
    if (moved) changed.push_back(rollout.n);
  }
  return {};
}

namespace {

/// What it measured as control is its period before.
Result<void> keep_before(store::Tx& tx, Rollout const& rollout, std::int64_t device_n) {
  if (rollout.policy.metrics.empty()) return {};
  return tx.prepare(queries::kKeepBefore).bind_all(rollout.n, device_n).run();
}

}  // namespace

Result<void> drop_samples(store::Tx& tx, Rollout const& rollout, std::int64_t device_n) {
  if (!rollout.policy.reads_samples()) return {};
  FLEET_CHECK(keep_before(tx, rollout, device_n));
  return tx.prepare(queries::kDropSamples).bind_all(rollout.n, device_n).run();
}

Result<void> drop_summaries(store::Tx& tx, Rollout const& rollout, std::int64_t device_n) {
  if (rollout.policy.metrics.empty() && !rollout.policy.drift) return {};
  FLEET_CHECK(keep_before(tx, rollout, device_n));
  return tx.prepare(queries::kDropSummaries).bind_all(rollout.n, device_n).run();
}

Result<void> note_healthy(store::Tx& tx, Rollout const& rollout, std::int64_t device_n, bool healthy) {
  if (!rollout.policy.reads_samples()) return {};
  return tx.prepare(queries::kSetSamplesHealthy).bind_all(rollout.n, device_n, healthy).run();
}

}  // namespace fleet::rollout
