#include "server/rollout/shell/device_rows.hpp"

#include "server/rollout/shell/engine.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/record.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

/// A parked poll is quiet for up to 55 s, but a device at work is not parked; below this a bad network's ordinary retries would count as silence.
constexpr Millis kLeastSilence = seconds(15);
constexpr std::int64_t kReportEveryDefault_s = 60;

/// How a state of the update machine shows in the row.
struct Shows {
  std::string_view reported;
  std::string_view row;
  bool exposed;
};
constexpr auto kShows = std::to_array<Shows>({
    {"checking", ds::kDownloading, false},
    {"downloading", ds::kDownloading, false},
    {"staged", ds::kDownloading, false},
    {"waiting", ds::kWaiting, false},
    {"testing", ds::kTesting, false},
    {"switching", ds::kTesting, false},
    {"probation", ds::kProbation, true},
    {"committed", ds::kHealthy, true},
    {"ineligible", ds::kIneligible, false},
    {"failed", ds::kFailed, false},
    {"rolling_back", ds::kFailed, false},
    {"rolled_back", ds::kFailed, false},
});

/// Codes of failures that come from the network, the disk or the device's owner, and so say nothing about the release.
constexpr auto kNotTheRelease =
    std::to_array<std::string_view>({"network", "disk_full", "io", "timeout", "unavailable", "throttled", "operator", "held", "rolled_back_by_owner",
                                     "unknown_user", "unknown_program", "run_as_required", "run_as_needs_root", "not_started"});

bool is_evidence(std::string_view row_state, wire::UpdateItem const& item) {
  auto const& code = item.error.code;
  if (std::find(kNotTheRelease.begin(), kNotTheRelease.end(), code) != kNotTheRelease.end()) return false;
  if (code.empty()) return false;  // rolled back without an error: somebody on the device asked for it
  bool const before_test = row_state == ds::kDispatched || row_state == ds::kDownloading || row_state == ds::kWaiting;
  return !before_test || code.starts_with("golden") || code.starts_with("health") || code.starts_with("probation") || code.starts_with("activate");
}

/// For the column `outcome`: nothing leaves what it holds.
std::optional<std::string_view> outcome_of(std::string_view state) { return ds::is_outcome(state) ? std::optional(state) : std::nullopt; }

std::optional<std::string> error_json(wire::DeviceError const& error) {
  if (error.code.empty()) return std::nullopt;
  return boost::json::serialize(boost::json::object{{"code", error.code}, {"text", error.text}, {"output", error.output}});
}

/// One more device fetches: the next may begin when the limit has room for it (a leaky bucket of one device).
void take_line(RolloutView const& view, std::string_view hardware, SysTime now) {
  auto const rate = static_cast<std::int64_t>(view.rollout.policy.egress);
  auto const variant = view.variants.find(hardware);
  if (rate == 0 || variant == view.variants.end()) return;
  auto const takes_ms = variant->second * 1000 / rate;
  auto const begins = std::max(view.line_free_at->load(std::memory_order_relaxed), to_unix_ms(now));
  view.line_free_at->store(begins + takes_ms, std::memory_order_relaxed);  // the writer's thread alone writes it
}

/// A row of a device that is in a rollout from now on.
struct NewRow {
  std::int64_t device_n;
  int stage;
  std::string stratum;
  std::string_view state;
  bool exposed;
  std::optional<std::string> from_version;
  std::optional<Digest> from_digest;
  std::int64_t attempt;
  bool eligible;
};
Result<void> insert_row(store::Tx& tx, RolloutView const& view, NewRow const& made, SysTime now) {
  FLEET_TRY(auto const window, silence_window(tx.connection(), made.device_n, view.rollout.policy));
  auto row = tx.prepare(queries::kInsertRow);
  row.bind_all(view.rollout.n, made.device_n, made.stage, made.stratum, made.state, outcome_of(made.state), made.exposed, made.from_version, made.from_digest,
               made.attempt, to_unix_ms(now), to_unix_ms(now), to_unix_ms(now + window), made.eligible);
  return row.run();
}

Result<void> dispatch_first(store::Tx& tx, RolloutView const& view, registry::DeviceFacts const& device, Desired const& desired, SysTime now) {
  NewRow made{device.n, desired.stage, desired.stratum, ds::kDispatched, false, {}, {}, desired.target.attempt, true};
  {
    auto running = tx.prepare(queries::kRunningDigest);
    running.bind_all(device.n, desired.model);
    FLEET_TRY(bool const found, running.step());
    if (found) made.from_version = running.maybe_text(0);
    if (found && !running.is_null(1)) made.from_digest = running.digest(1);
  }
  FLEET_TRY(auto const current, load_rollout(tx.connection(), desired.rollout_n));
  // Runs it already: nothing to learn from. The same version of other bytes is not that.
  bool const there = made.from_digest ? *made.from_digest == view.rollout.digest : made.from_version == view.rollout.version;
  bool const open = current.state == State::running || current.state == State::completed;  // it may have been stopped since the decision
  made.state = !open ? ds::kDropped : there ? ds::kHealthy : ds::kDispatched;
  made.eligible = !there;
  FLEET_CHECK(insert_row(tx, view, made, now));
  if (made.state != ds::kDispatched) return {};
  view.at_work->fetch_add(1, std::memory_order_relaxed);
  take_line(view, device.hardware, now);
  return {};
}

Result<void> dispatch_again(store::Tx& tx, RolloutView const& view, registry::DeviceFacts const& device, Desired const& desired, SysTime now) {
  FLEET_TRY(auto const window, silence_window(tx.connection(), device.n, view.rollout.policy));
  auto row = tx.prepare(queries::kAgainRow);
  row.bind_all(desired.target.attempt, desired.stage, to_unix_ms(now), to_unix_ms(now), to_unix_ms(now + window), true, desired.rollout_n, device.n);
  FLEET_CHECK(row.run());
  for (auto const& gate : view.rollout.policy.absolute) {
    auto drop = tx.prepare(queries::kDropSamples);
    drop.bind_all(desired.rollout_n, device.n, gate.metric);
    FLEET_CHECK(drop.run());
  }
  view.at_work->fetch_add(1, std::memory_order_relaxed);
  take_line(view, device.hardware, now);
  return {};
}

/// A row as reports need it.
struct Row {
  std::string state;
  bool exposed = false;
  std::int64_t attempt = 0;
};
Result<std::optional<Row>> find_row(store::Tx& tx, std::int64_t rollout_n, std::int64_t device_n) {
  auto row = tx.prepare(queries::kRow);
  row.bind_all(rollout_n, device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return std::optional<Row>{};
  return std::optional<Row>({row.text(0), row.int64(1) != 0, row.int64(2)});
}

Result<void> set_state(store::Tx& tx, std::int64_t rollout_n, std::int64_t device_n, std::string_view state, SysTime now) {
  auto row = tx.prepare(queries::kSetRowState);
  row.bind_all(state, outcome_of(state), to_unix_ms(now), rollout_n, device_n);
  return row.run();
}

/// Rollouts of the model that are taken back, and from which the device has now returned, whatever made it do so.
Result<void> note_returns(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::UpdateItem const& item, SysTime now,
                          std::vector<std::int64_t>& changed) {
  auto const of_model = snapshot.models.find(item.model);
  if (of_model == snapshot.models.end()) return {};
  for (auto const& view : of_model->second.ended) {
    auto const& rollout = view->rollout;
    if ((rollout.state != State::rolling_back && rollout.state != State::rolled_back) || item.running_version == rollout.version) continue;
    FLEET_TRY(auto const row, find_row(tx, rollout.n, device.n));
    if (!row || !row->exposed || row->state == ds::kReverted) continue;
    FLEET_CHECK(set_state(tx, rollout.n, device.n, ds::kReverted, now));
    FLEET_CHECK(raise_device(tx, device.n));
    changed.push_back(rollout.n);
  }
  return {};
}

Result<void> move_row(store::Tx& tx, RolloutView const& view, Row const& row, registry::DeviceFacts const& device, wire::UpdateItem const& item, SysTime now,
                      std::vector<std::int64_t>& changed) {
  auto const move = move_of(row.state, item);
  if (!move) return {};
  bool const was_at_work = ds::is_undecided(row.state);
  auto write = tx.prepare(queries::kMoveRow);
  write.bind_all(move->state, outcome_of(move->state), move->exposed, move->evidence, to_unix_ms(now), error_json(item.error), view.rollout.n, device.n);
  FLEET_CHECK(write.run());
  if (was_at_work && !ds::is_undecided(move->state)) view.at_work->fetch_sub(1, std::memory_order_relaxed);
  if (move->state != row.state) FLEET_CHECK(raise_device(tx, device.n));
  changed.push_back(view.rollout.n);
  return {};
}

/// One model of a poll, in a rollout that this server knows. That it failed counts for a rollout that was restored alone, and is no evidence: what of was
/// told to the server that is lost.
Result<void> note_status(store::Tx& tx, RolloutView const& view, Polled const& polled, wire::ModelStatus const& status, SysTime now,
                         std::vector<std::int64_t>& changed) {
  auto const& rollout = view.rollout;
  auto const shows = std::find_if(kShows.begin(), kShows.end(), [&](Shows const& one) { return one.reported == status.state; });
  if (shows == kShows.end()) return {};
  bool const restored = rollout.restored != Restored::no;
  bool const failed = shows->row == ds::kFailed;
  FLEET_TRY(auto const row, find_row(tx, rollout.n, polled.device_n));
  FLEET_TRY(auto const device, registry::load_device_facts(tx.connection(), polled.device_n));
  if (row) {
    bool const told = (shows->row == ds::kHealthy && status.version == rollout.version) || (failed && restored);
    if (!told || !ds::is_undecided(row->state) || status.attempt < row->attempt) return {};
    wire::UpdateItem item;
    item.model = rollout.model;
    item.version = rollout.version;
    item.running_version = status.version;
    item.state = status.state;
    item.rollout = rollout.id;
    item.attempt = status.attempt;
    return move_row(tx, view, *row, device, item, now, changed);
  }
  if (!restored) return {};
  // It was told after the backup.
  auto const stratum = stratum_of(rollout.policy.strata, device.hardware, device.labels);
  auto const device_place = place(rollout.salt, device.id);
  int stage = 1;
  while (stage < rollout.policy.stage_count() && !view.in_stage(stage, stratum, device_place)) ++stage;
  NewRow made{polled.device_n, stage, stratum, shows->row, status.version == rollout.version, {}, {}, status.attempt, !failed};
  if (auto const before = polled.before.find(rollout.model); before != polled.before.end() && before->second.version != rollout.version) {
    if (!before->second.version.empty()) made.from_version = before->second.version;
    if (auto const digest = Digest::parse(before->second.digest)) made.from_digest = *digest;
  }
  changed.push_back(rollout.n);
  return insert_row(tx, view, made, now);
}

}  // namespace

std::optional<RowMove> move_of(std::string_view row_state, wire::UpdateItem const& item) {
  auto const shows = std::find_if(kShows.begin(), kShows.end(), [&](Shows const& one) { return one.reported == item.state; });
  if (shows == kShows.end()) return std::nullopt;  // idle, or a newer agent's word
  bool const exposed = shows->exposed || (!item.version.empty() && item.running_version == item.version);
  // Final for the gate, even if the device returns; what it ran is noted all the same, so that it can be taken back.
  if (row_state == ds::kSilent) return RowMove{ds::kSilent, exposed, true};
  if (row_state == ds::kReverted || row_state == ds::kReverting || row_state == ds::kLeft) return exposed ? std::optional(RowMove{row_state, true, true}) : std::nullopt;
  if (row_state == ds::kDropped) {  // it missed the abort: what it did is told as it was
    if (!exposed) return std::nullopt;
    return RowMove{shows->row, true, true};
  }
  if (shows->row != ds::kFailed) return RowMove{shows->row, exposed, true};
  if (item.error.code == "ineligible") return RowMove{ds::kIneligible, exposed, true};
  if (row_state == ds::kFailed) return RowMove{ds::kFailed, exposed, true};  // failed, then rolled back: the first told the cause
  return RowMove{ds::kFailed, exposed, is_evidence(row_state, item)};
}

wire::DeviceError read_device_error(std::string_view column) {
  boost::system::error_code fault;
  auto const value = boost::json::parse(boost::json::string_view(column.data(), column.size()), fault);
  auto const* const object = fault ? nullptr : value.if_object();
  if (object == nullptr) return {std::string(column), {}, {}};
  auto const text = [&](std::string_view key) {
    auto const* const found = object->if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  return {text("code"), text("text"), text("output")};
}

Result<DeviceRows> read_device_rows(db::Connection& reader, std::int64_t device_n) {
  DeviceRows out;
  auto rows = reader.prepare(queries::kRowsOfDevice);
  rows.bind_all(device_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    DeviceRow row{rows.text(1), rows.int64(2) != 0, rows.maybe_text(3), {}, rows.int64(5), ""};
    if (auto const error = read_device_error(rows.maybe_text(6).value_or("")); !error.code.empty())
      row.error = error.text.empty() ? error.code : error.code + ": " + error.text;
    if (!rows.is_null(4)) row.from_digest = rows.digest(4);
    out.emplace(rows.int64(0), std::move(row));
  }
}

Result<Millis> silence_window(db::Connection& reader, std::int64_t device_n, Policy const& policy) {
  auto row = reader.prepare(queries::kReportEvery);
  row.bind_all(device_n);
  FLEET_TRY(bool const found, row.step());
  auto const every_s = found ? std::max<std::int64_t>(row.int64(2), 1) : kReportEveryDefault_s;
  auto const reports = policy.silent ? policy.silent->after_reports : SilentGate{}.after_reports;
  return std::max<Millis>(seconds(every_s * reports), kLeastSilence);
}

Result<void> raise_device(store::Tx& tx, std::int64_t device_n) {
  auto row = tx.prepare(queries::kRaiseDeviceEpoch);
  row.bind_all(device_n);
  FLEET_CHECK(row.run());
  tx.raise_device_epoch(device_n);
  return {};
}

Result<void> note_dispatched(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, Decision const& decision, SysTime now) {
  for (auto const& desired : decision.models) {
    auto const view = snapshot.by_n.find(desired.rollout_n);
    if (desired.target.model.empty() || view == snapshot.by_n.end()) continue;
    FLEET_TRY(auto const row, find_row(tx, desired.rollout_n, device.n));
    bool const returns = desired.target.action == wire::Action::revert || desired.target.action == wire::Action::remove;
    if (returns && row && row->state != ds::kReverted && row->state != ds::kReverting)
      FLEET_CHECK(set_state(tx, desired.rollout_n, device.n, ds::kReverting, now));
    if (returns || !desired.joins) continue;
    bool const again = row && (row->state == ds::kDropped || row->state == ds::kLeft || (row->state == ds::kFailed && row->attempt < desired.target.attempt));
    if (again) FLEET_CHECK(dispatch_again(tx, *view->second, device, desired, now));
    if (!row) FLEET_CHECK(dispatch_first(tx, *view->second, device, desired, now));
  }
  return {};
}

Result<void> note_left(store::Tx& tx, std::int64_t device_n, Leaving how, SysTime now) {
  struct Open {
    std::int64_t rollout_n;
    std::string model, selector;
    DeviceRow row;
  };
  std::vector<Open> open;
  {
    auto rows = tx.prepare(queries::kOpenRowsOf);
    rows.bind_all(device_n);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      open.push_back({rows.int64(0), rows.text(4), rows.text(5), {rows.text(1), rows.int64(2) != 0, rows.maybe_text(3), {}}});
    }
  }
  if (open.empty()) return {};
  FLEET_TRY(auto const device, registry::load_device_facts(tx.connection(), device_n));
  for (auto const& one : open) {
    if (how == Leaving::relabelled) {  // who must return does, whatever it is called
      FLEET_TRY(auto const selector, registry::Selector::parse(one.selector));
      if (one.row.state == ds::kReverting || selects(selector, one.model, device, &one.row)) continue;
    }
    FLEET_CHECK(set_state(tx, one.rollout_n, device_n, ds::kLeft, now));
  }
  return {};
}

Result<void> name_gone(store::Tx& tx, std::int64_t device_n, std::string_view id) { return tx.prepare(queries::kNameGone).bind_all(device_n, id).run(); }

Result<void> note_update(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::UpdateItem const& item, SysTime now,
                         std::vector<std::int64_t>& changed) {
  auto const found = snapshot.by_id.find(item.rollout);
  if (found != snapshot.by_id.end() && found->second->rollout.version == item.version && found->second->rollout.model == item.model) {
    auto const& view = *found->second;
    FLEET_TRY(auto const row, find_row(tx, view.rollout.n, device.n));
    if (row && item.attempt >= row->attempt) FLEET_CHECK(move_row(tx, view, *row, device, item, now, changed));
  }
  return note_returns(tx, snapshot, device, item, now, changed);
}

Result<void> note_poll(store::Tx& tx, Snapshot const& snapshot, Polled const& polled, SysTime now, std::vector<std::int64_t>& changed) {
  for (auto const& [model, status] : polled.told) {
    auto const before = polled.before.find(model);
    if (status.rollout.empty() || (before != polled.before.end() && before->second == status)) continue;
    auto const view = snapshot.by_id.find(status.rollout);
    if (view == snapshot.by_id.end() || view->second->rollout.model != model) continue;
    FLEET_CHECK(note_status(tx, *view->second, polled, status, now, changed));
  }
  return {};
}

Result<void> note_metrics(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::MetricsItem const& item,
                          std::vector<std::int64_t>& changed) {
  auto const of_model = snapshot.models.find(item.model);
  if (item.digest.empty() || of_model == snapshot.models.end()) return {};
  for (auto const& view : of_model->second.live) {
    auto const& rollout = view->rollout;
    if (rollout.policy.absolute.empty() || rollout.digest.hex() != item.digest) continue;
    FLEET_TRY(auto const row, find_row(tx, rollout.n, device.n));
    if (!row || !row->exposed) continue;
    for (auto const& metric : item.metrics) {
      auto const judged = [&](AbsoluteGate const& gate) { return gate.metric == metric.name && gate.metric != kInstallFailure; };
      if (metric.count <= 0 || std::none_of(rollout.policy.absolute.begin(), rollout.policy.absolute.end(), judged)) continue;
      auto add = tx.prepare(queries::kAddSample);
      add.bind_all(rollout.n, device.n, metric.name, metric.count, metric.sum);
      FLEET_CHECK(add.run());
      changed.push_back(rollout.n);
    }
  }
  return {};
}

}  // namespace fleet::rollout
