#include "server/rollout/shell/device_rows.hpp"

#include "server/registry/groups.hpp"
#include "server/rollout/engine/turn.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/rollout/shell/places.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/record.hpp"
#include "server/rollout/shell/sample_rows.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

constexpr std::string_view kProving = "proving", kProved = "proved", kIdle = "idle";  ///< what a control says of itself

/// For the column `outcome`: nothing leaves what it holds.
std::optional<std::string_view> outcome_of(std::string_view state) { return ds::is_outcome(state) ? std::optional(state) : std::nullopt; }

std::optional<std::string> error_json(wire::DeviceError const& error) {
  if (error.code.empty()) return std::nullopt;
  return boost::json::serialize(boost::json::object{{"code", error.code}, {"text", error.text}, {"output", error.output}});
}

/// One more device fetches: the next may begin when the limit has room for it.
void take_line(RolloutView const& view, Arm arm, std::string_view hardware, Millis now) {
  auto const rate = view.rollout.policy.egress;
  auto const& variants = view.rollout.is_of_release(arm) ? view.variants : view.variants_against;
  auto const variant = variants.find(hardware);
  if (rate == 0 || variant == variants.end()) return;
  auto const before = view.line_free_at->load(std::memory_order_relaxed);
  view.line_free_at->store(line_after(before, now, variant->second, rate), std::memory_order_relaxed);  // the writer's thread alone writes it
}

constexpr std::int64_t kIntervalDefault_s = 60;

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
  Arm arm = Arm::canary;
  std::string_view kind = row_kind::kPlain;
  int window = 0;
};
Result<void> insert_row(store::Tx& tx, RolloutView const& view, NewRow const& made, Now const& now) {
  FLEET_TRY(auto const window, silence_window(tx.connection(), now.clock, made.device_n, view.rollout.policy));
  auto row = tx.prepare(queries::kInsertRow);
  row.bind_all(view.rollout.n, made.device_n, made.stage, made.stratum, made.state, outcome_of(made.state), made.exposed, made.from_version, made.from_digest,
               made.attempt, to_unix_ms(now.wall), (now.service() + window).count(), to_string(made.arm), made.window, made.kind, now.service().count());
  return row.run();
}

/// A row that is new, or was a control's: as canary, or in the control of another window.
/// @param goes_on  it was and stays a control: what it measures goes on
Result<void> dispatch_first(store::Tx& tx, RolloutView const& view, registry::DeviceFacts const& device, Desired const& desired, bool goes_on, Now const& now) {
  NewRow made{device.n, desired.stage, desired.stratum, ds::kDispatched, false, {}, {}, desired.target.attempt, desired.arm};
  {
    auto running = tx.prepare(queries::kRunningDigest);
    running.bind_all(device.n, desired.model);
    FLEET_TRY(bool const found, running.step());
    if (found) made.from_version = running.maybe_text(0);
    if (found && !running.is_null(1)) made.from_digest = running.digest(1);
  }
  FLEET_TRY(auto const current, load_rollout(tx.connection(), desired.rollout_n));
  // Runs it already: nothing to learn from. The same version of other bytes is not that.
  bool const fetches = installs(desired.arm);
  auto const shipped = view.rollout.shipped(desired.arm);
  bool const there = fetches && (made.from_digest ? *made.from_digest == shipped.digest : made.from_version == shipped.version);
  bool const open = current.state == State::running || current.state == State::completed;  // it may have been stopped since the decision
  made.state = !open ? ds::kDropped : there ? ds::kHealthy : ds::kDispatched;
  if (there) made.kind = row_kind::kThere;
  FLEET_CHECK(goes_on ? drop_summaries(tx, view.rollout, device.n) : drop_samples(tx, view.rollout, device.n));
  FLEET_CHECK(insert_row(tx, view, made, now));
  if (desired.arm == Arm::canary) view.told->fetch_add(1, std::memory_order_relaxed);
  if (made.state != ds::kDispatched) return {};
  view.at_work->fetch_add(1, std::memory_order_relaxed);
  if (fetches) take_line(view, desired.arm, device.hardware, now.service());
  return take_place(tx, view, device.n, desired, now);
}

/// Who is called otherwise stands elsewhere; who is gone stands nowhere.
Result<void> leave_places(store::Tx& tx, std::int64_t device_n, Leaving how, Freed& freed) {
  if (how == Leaving::wholly) return drop_places(tx, device_n, freed);
  FLEET_TRY(auto const device, registry::load_device_facts(tx.connection(), device_n));
  return move_places(tx, device, freed);
}

Result<void> dispatch_again(store::Tx& tx, RolloutView const& view, registry::DeviceFacts const& device, Desired const& desired, Now const& now) {
  FLEET_TRY(auto const window, silence_window(tx.connection(), now.clock, device.n, view.rollout.policy));
  auto row = tx.prepare(queries::kAgainRow);
  row.bind_all(desired.target.attempt, desired.stage, to_unix_ms(now.wall), (now.service() + window).count(), now.service().count(), desired.rollout_n, device.n);
  FLEET_CHECK(row.run());
  FLEET_CHECK(drop_samples(tx, view.rollout, device.n));
  view.at_work->fetch_add(1, std::memory_order_relaxed);
  take_line(view, desired.arm, device.hardware, now.service());
  return take_place(tx, view, device.n, desired, now);
}

/// A device that failed tries once more.
Result<void> dispatch_once_more(store::Tx& tx, RolloutView const& view, registry::DeviceFacts const& device, Desired const& desired, Now const& now) {
  FLEET_TRY(auto const window, silence_window(tx.connection(), now.clock, device.n, view.rollout.policy));
  auto row = tx.prepare(queries::kOnceMoreRow);
  row.bind_all(desired.target.attempt, to_unix_ms(now.wall), (now.service() + window).count(), now.service().count(), desired.rollout_n, device.n);
  FLEET_CHECK(row.run());
  view.at_work->fetch_add(1, std::memory_order_relaxed);
  take_line(view, desired.arm, device.hardware, now.service());
  return take_place(tx, view, device.n, desired, now);
}

/// A row as reports need it.
struct Row {
  std::string state;
  bool exposed = false;
  std::int64_t attempt = 0;
  Arm arm = Arm::canary;
  std::string outcome;
  std::string kind = {};
  std::int64_t tries = 1;
};
Result<std::optional<Row>> find_row(store::Tx& tx, std::int64_t rollout_n, std::int64_t device_n) {
  auto row = tx.prepare(queries::kRow);
  row.bind_all(rollout_n, device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return std::optional<Row>{};
  return std::optional<Row>({row.text(0), row.int64(1) != 0, row.int64(2), parse_arm(row.text_view(4)), row.maybe_text(6).value_or(""), row.text(3), row.int64(7)});
}

Result<void> set_state(store::Tx& tx, std::int64_t rollout_n, std::int64_t device_n, std::string_view state, SysTime now) {
  auto row = tx.prepare(queries::kSetRowState);
  row.bind_all(state, outcome_of(state), to_unix_ms(now), rollout_n, device_n);
  return row.run();
}

/// Rollouts of the model that are taken back, in all or in the device's stratum, and from which it has now returned, whatever made it do so. Who was told to
/// return with its stratum returns, whatever a person said of the rollout since.
Result<void> note_returns(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::UpdateItem const& item, SysTime now,
                          std::vector<std::int64_t>& changed) {
  auto const of_model = snapshot.models.find(item.model);
  if (of_model == snapshot.models.end()) return {};
  auto views = of_model->second.taken_back;
  views.insert(views.end(), of_model->second.live.begin(), of_model->second.live.end());
  for (auto const& view : views) {
    auto const& rollout = view->rollout;
    bool const back = rollout.state == State::rolling_back || rollout.state == State::rolled_back;
    if (!rollout.against && item.running_version == rollout.version) continue;
    FLEET_TRY(auto const row, find_row(tx, rollout.n, device.n));
    if (!row || !row->exposed || row->state == ds::kReverted || (!back && row->state != ds::kReverting)) continue;
    if (rollout.keeps(row->arm) || item.running_version == rollout.version_of(row->arm)) continue;
    FLEET_CHECK(set_state(tx, rollout.n, device.n, ds::kReverted, now));
    FLEET_CHECK(raise_device(tx, device.n));
    changed.push_back(rollout.n);
  }
  return {};
}

Result<void> move_row(store::Tx& tx, RolloutView const& view, Row const& row, std::int64_t device_n, wire::UpdateItem const& item, Now const& now,
                      std::vector<std::int64_t>& changed) {
  auto move = move_of(row.state, item);
  bool const gave_up = !installs(row.arm) && item.state == kIdle && ds::is_undecided(row.state);
  if (gave_up) move = RowMove{ds::kDropped};  // a newer order ended its proof: no outcome
  if (!move) return {};
  bool const was_at_work = ds::is_undecided(row.state);
  bool const exposed = move->exposed && installs(row.arm);
  FLEET_TRY(auto const window, silence_window(tx.connection(), now.clock, device_n, view.rollout.policy));
  auto const again = again_after(view.rollout.policy, row.arm, row.state, row.tries, *move, now.service());
  bool const more = tries_once_more(row.tries, row.outcome);
  auto write = tx.prepare(queries::kMoveRow);
  write.bind_all(move->state, more ? std::nullopt : outcome_of(move->state), exposed, more ? std::string_view() : move->kind, to_unix_ms(now.wall), now.service().count(), error_json(item.error),
                 move->state == ds::kFailed ? item.error.code : std::string(), move->starts && !more ? view.window_now->load(std::memory_order_relaxed) : 0,
                 (now.service() + window).count(), view.rollout.n, device_n, again ? std::optional(again->count()) : std::nullopt);
  FLEET_CHECK(write.run());
  bool const healthy = !more && outcome_after(row.outcome, move->state) == ds::kHealthy;
  if (row.arm == Arm::canary && healthy != (row.outcome == ds::kHealthy)) FLEET_CHECK(note_healthy(tx, view.rollout, device_n, healthy));
  if (was_at_work && !ds::is_undecided(move->state)) tx.after_commit([at_work = view.at_work] { at_work->fetch_sub(1, std::memory_order_relaxed); });
  if (move->state != row.state) FLEET_CHECK(raise_device(tx, device_n));
  changed.push_back(view.rollout.n);
  return {};
}

/// One model of a poll, in a rollout that this server knows. That it failed counts for a rollout that was restored alone, and is no evidence: what of was
/// told to the server that is lost.
Result<void> note_status(store::Tx& tx, RolloutView const& view, Polled const& polled, wire::ModelStatus const& status, Now const& now,
                         std::vector<std::int64_t>& changed) {
  auto const& rollout = view.rollout;
  auto const* const shown = shows(status.state);
  if (shown == nullptr) return {};
  bool const restored = rollout.restored != Restored::no;
  bool const failed = shown->row == ds::kFailed;
  FLEET_TRY(auto const row, find_row(tx, rollout.n, polled.device_n));
  FLEET_TRY(auto const device, registry::load_device_facts(tx.connection(), polled.device_n));
  if (row) {
    bool const proof = !installs(row->arm);
    bool const healthy = shown->row == ds::kHealthy && (status.state == kProved) == proof && rollout.is_of_arm(row->arm, status.version);
    bool const told = healthy || (failed && restored && !proof);
    if (!told || !ds::is_undecided(row->state) || status.attempt < row->attempt) return {};
    wire::UpdateItem item;
    item.model = rollout.model;
    item.version = proof ? status.version : rollout.version_of(row->arm);
    item.running_version = status.version;
    item.state = status.state;
    item.rollout = rollout.id;
    item.attempt = status.attempt;
    return move_row(tx, view, *row, device.n, item, now, changed);
  }
  if (!restored || status.state == kProved || status.state == kProving) return {};
  // It was told after the backup.
  auto const stratum = stratum_of(rollout.policy.strata, device.hardware, device.labels);
  auto const device_place = place(rollout.salt, device.id);
  auto const stage = std::max(1, view.stage_of(stratum, device_place));
  auto const arm = view.arm_of(stratum, device_place);
  NewRow made{polled.device_n, stage, stratum, shown->row, status.version == rollout.version_of(arm), {}, {}, status.attempt, arm};
  if (failed) made.kind = row_kind::kNoEvidence;
  else if (shown->starts) made.window = view.window_now->load(std::memory_order_relaxed);
  if (auto const before = polled.before.find(rollout.model); before != polled.before.end() && before->second.version != rollout.version_of(arm)) {
    if (!before->second.version.empty()) made.from_version = before->second.version;
    if (auto const digest = Digest::parse(before->second.digest)) made.from_digest = *digest;
  }
  changed.push_back(rollout.n);
  return insert_row(tx, view, made, now);
}

}  // namespace

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

Result<DeviceRows> read_device_rows(db::Connection& reader, Snapshot const& snapshot, std::int64_t device_n) {
  DeviceRows out;
  auto rows = reader.prepare(queries::kRowsOfDevice);
  rows.bind_all(device_n, snapshot.by_n.empty() ? 0 : snapshot.by_n.begin()->first);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    DeviceRow row{rows.text(1), rows.int64(2) != 0, rows.maybe_text(3), {}, rows.int64(5), "", parse_arm(rows.text_view(7)), static_cast<int>(rows.int64(8))};
    if (!rows.is_null(9)) row.again = Millis(rows.int64(9));
    if (auto const error = read_device_error(rows.maybe_text(6).value_or("")); !error.code.empty())
      row.error = error.text.empty() ? error.code : error.code + ": " + error.text;
    if (!rows.is_null(4)) row.from_digest = rows.digest(4);
    out.emplace(rows.int64(0), std::move(row));
  }
}

Result<Millis> silence_window(db::Connection& reader, ServiceClock const& clock, std::int64_t device_n, Policy const& policy) {
  auto const reports = policy.silent.value_or(SilentGate{}).after_reports;
  auto gap = clock.voice(device_n).gap;
  if (gap == Millis{0}) {
    auto row = reader.prepare(queries::kReportEvery);
    row.bind_all(device_n);
    FLEET_TRY(bool const found, row.step());
    Habits habits;
    habits.poll = seconds(found && row.int64(1) > 0 ? row.int64(1) : kIntervalDefault_s);
    habits.report = seconds(found && row.int64(2) > 0 ? row.int64(2) : kIntervalDefault_s);
    gap = longest_gap(habits);
  }
  if (clock.is_coming_back()) gap = std::max(gap, ServiceClock::kComeBack);
  return std::max(1, reports) * gap;
}

Result<Millis> last_heard(db::Connection& reader, ServiceClock const& clock, std::int64_t device_n) {
  auto const here = clock.voice(device_n).heard;
  if (!clock.is_shared()) return here;
  auto row = reader.prepare(queries::kHeard);
  row.bind_all(device_n);
  FLEET_TRY(bool const found, row.step());
  return found ? std::max(here, Millis(row.int64(0))) : here;
}

Result<void> raise_device(store::Tx& tx, std::int64_t device_n) {
  auto row = tx.prepare(queries::kRaiseDeviceEpoch);
  row.bind_all(device_n);
  FLEET_CHECK(row.run());
  tx.raise_device_epoch(device_n);
  return {};
}

Result<void> note_dispatched(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, Decision const& decision, Now const& now) {
  for (auto const& desired : decision.models) {
    auto const view = snapshot.by_n.find(desired.rollout_n);
    if (desired.target.model.empty() || view == snapshot.by_n.end()) continue;
    FLEET_TRY(auto const row, find_row(tx, desired.rollout_n, device.n));
    bool const returns = desired.target.action == wire::Action::revert || desired.target.action == wire::Action::remove;
    if (returns && row && row->state != ds::kReverted && row->state != ds::kReverting)
      FLEET_CHECK(set_state(tx, desired.rollout_n, device.n, ds::kReverting, now.wall));
    if (returns || !desired.joins) continue;
    bool const fetched = row && installs(row->arm);
    bool const again = fetched && (row->state == ds::kDropped || row->state == ds::kLeft || row->state == ds::kFailed || row->state == ds::kIneligible);
    bool const failed = again && (row->state == ds::kFailed || (row->outcome == ds::kFailed && row->state != ds::kIneligible));  // it may have left, or waited too long, since
    bool const once_more = failed && row->attempt >= view->second->rollout.attempt && row->kind != row_kind::kNoEvidence;
    auto const tell_again = once_more ? dispatch_once_more : dispatch_again;
    if (again) FLEET_CHECK(tell_again(tx, *view->second, device, desired, now));
    if (!fetched) FLEET_CHECK(dispatch_first(tx, *view->second, device, desired, row && !installs(desired.arm), now));
  }
  return {};
}

Result<void> note_left(store::Tx& tx, std::int64_t device_n, Leaving how, SysTime now, std::vector<Site>& freed) {
  FLEET_CHECK(leave_places(tx, device_n, how, freed));
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
      FLEET_TRY(auto const selector, registry::read_kept_selector(tx.connection(), one.selector));
      if (one.row.state == ds::kReverting || selects(selector, one.model, device, &one.row)) continue;
    }
    FLEET_CHECK(set_state(tx, one.rollout_n, device_n, ds::kLeft, now));
  }
  return {};
}

Result<void> name_gone(store::Tx& tx, std::int64_t device_n, std::string_view id) { return tx.prepare(queries::kNameGone).bind_all(device_n, id).run(); }

Result<void> note_update(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::UpdateItem const& item, Now const& now,
                         std::vector<std::int64_t>& changed) {
  auto const found = snapshot.by_id.find(item.rollout);
  if (found != snapshot.by_id.end() && found->second->rollout.model == item.model) {
    auto const& view = *found->second;
    FLEET_TRY(auto const row, find_row(tx, view.rollout.n, device.n));
    // A control speaks of what it runs, a canary of the release: what a device says as one is never taken for the other.
    bool const of_this_row = row && view.rollout.is_of_arm(row->arm, item.version);
    if (of_this_row && item.attempt >= row->attempt) FLEET_CHECK(move_row(tx, view, *row, device.n, item, now, changed));
  }
  return note_returns(tx, snapshot, device, item, now.wall, changed);
}

Result<void> note_poll(store::Tx& tx, Snapshot const& snapshot, Polled const& polled, Now const& now, std::vector<std::int64_t>& changed) {
  for (auto const& [model, status] : polled.told) {
    auto const before = polled.before.find(model);
    if (status.rollout.empty() || (before != polled.before.end() && before->second == status)) continue;
    auto const view = snapshot.by_id.find(status.rollout);
    if (view == snapshot.by_id.end() || view->second->rollout.model != model) continue;
    FLEET_CHECK(note_status(tx, *view->second, polled, status, now, changed));
  }
  return {};
}

}  // namespace fleet::rollout
