#include "server/rollout/engine/decide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

DeviceRow const* find_row(DeviceRows const& rows, RolloutView const& view) {
  auto const found = rows.find(view.rollout.n);
  return found == rows.end() ? nullptr : &found->second;
}

struct Where {
  std::int64_t rollout_n = -1;
  std::int64_t place = 0;
  std::string stratum = {};
};

/// One decision in the making.
struct Deciding {
  Snapshot const& snapshot;
  registry::DeviceFacts const& device;
  DeviceRows const& rows;
  Asking const& asking;
  ModelDecision out;
  mutable Where known = {};

  void note(std::string code, std::string text) { out.desired.because.push_back({std::move(code), std::move(text)}); }

  /// Where the device stands in a rollout, worked out once: a hash each.
  [[nodiscard]] Where const& where(RolloutView const& view) const {
    if (known.rollout_n != view.rollout.n)
      known = {view.rollout.n, place(view.rollout.salt, device.id), stratum_of(view.rollout.policy.strata, device.hardware, device.labels)};
    return known;
  }
  [[nodiscard]] std::string const& stratum(RolloutView const& view) const { return where(view).stratum; }
  [[nodiscard]] Seat seat(RolloutView const& view) const { return view.seat(stratum(view), where(view).place); }
  [[nodiscard]] int stage_of(RolloutView const& view) const { return view.stage_of(stratum(view), where(view).place); }
  [[nodiscard]] bool was_held_back(RolloutView const& view) const { return view.was_held_back(stratum(view), where(view).place); }
  /// The version that it runs of the rollout's model, where that is another one than the rollout's; else null.
  [[nodiscard]] std::string const* other_version(RolloutView const& view) const {
    auto const running = device.running.versions.find(view.rollout.model);
    return running == device.running.versions.end() || running->second.empty() || running->second == view.rollout.version ? nullptr : &running->second;
  }

  void target(RolloutView const& view, std::int64_t attempt, bool joins) {
    auto const& rollout = view.rollout;
    auto& desired = out.desired;
    desired.version = rollout.version;
    desired.rollout_n = rollout.n;
    auto const stage = stage_of(view);  // a top-up reaches beyond a stage's size
    desired.stage = was_held_back(view) ? kHeldBack : std::max(stage == 0 ? rollout.stage : std::min(stage, rollout.stage), 1);
    desired.stratum = stratum(view);
    desired.joins = joins;
    auto& target = desired.target;
    target.model = rollout.model;
    target.path = fmt::format("models/{}/{}/release.json", rollout.model, rollout.version);
    target.length = static_cast<std::uint64_t>(rollout.document_bytes);
    target.hashes = {{"sha256", rollout.digest.hex()}};
    target.rollout = rollout.id;
    target.attempt = attempt;
    target.action = wire::Action::install;
    target.conditions = rollout.policy.device;
    target.windows = rollout.policy.windows;
  }

  /// What a control is told: to prove what it runs, under the conditions of canaries. Path, length and digest are the caller's to fill in.
  void prove(RolloutView const& view, std::int64_t attempt, bool joins, std::string const& version) {
    target(view, attempt, joins);
    auto& desired = out.desired;
    desired.version = version;
    desired.arm = was_held_back(view) ? Arm::holdback : Arm::control;
    desired.target.action = wire::Action::prove;
    desired.target.path = fmt::format("models/{}/{}/release.json", view.rollout.model, version);
    desired.target.length = 0;
    desired.target.hashes.clear();
    note("control", fmt::format("control of rollout {}: it proves {} beside the canaries of window {}", view.rollout.id, version, attempt));
  }
};

void take_back(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  d.target(view, row.attempt, false);
  auto& desired = d.out.desired;
  auto& target = desired.target;
  target.conditions = {};
  target.windows.clear();
  desired.version = row.from_version.value_or("");
  target.action = row.from_version ? wire::Action::revert : wire::Action::remove;
  target.path = row.from_version ? fmt::format("models/{}/{}/release.json", view.rollout.model, *row.from_version) : "";
  target.length = 0;
  target.hashes.clear();
  if (row.from_digest) target.hashes = {{"sha256", row.from_digest->hex()}};
  d.note("reverting", fmt::format("rollout {} of {} is taken back: {}", view.rollout.id, view.rollout.version,
                                  row.from_version ? "return to " + *row.from_version : std::string("nothing that stands ran before, so remove it")));
}

std::string said(DeviceRow const& row) { return row.error.empty() ? std::string() : fmt::format(" ({})", row.error); }

/// No new device starts between some times that the policy names; says so.
bool is_frozen(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  auto const frozen = std::find_if(rollout.policy.freeze.begin(), rollout.policy.freeze.end(), [&](Freeze const& one) { return one.from <= d.asking.now.wall && d.asking.now.wall < one.to; });
  if (frozen == rollout.policy.freeze.end()) return false;
  d.out.valid_until = frozen->to;
  d.note("frozen", fmt::format("rollout {} starts nothing until {}", rollout.id, to_rfc3339(frozen->to)));
  return true;
}

/// Nothing new starts in a rollout that is not running, in a stratum that was quarantined, or while changes are frozen; says why.
bool may_start(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  if (rollout.state != State::running) {
    d.note(std::string(to_string(rollout.state)), fmt::format("rollout {} is {}: nothing new starts", rollout.id, to_string(rollout.state)));
    return false;
  }
  if (rollout.progress.quarantined.contains(d.stratum(view))) {
    d.note("quarantined", fmt::format("stratum {} of rollout {} has shown harm by itself: it is told nothing more", d.stratum(view), rollout.id));
    return false;
  }
  return !is_frozen(d, view);
}

bool within_egress(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  auto const free_at = Millis(view.line_free_at->load(std::memory_order_relaxed));
  if (rollout.policy.egress == 0 || free_at <= d.asking.now.service) return true;
  d.out.retry_soon = true;
  d.note("egress", fmt::format("rollout {} tells devices at {} bytes/s, its limit", rollout.id, rollout.policy.egress));
  return false;
}

bool within_limits(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  auto const limit = rollout.policy.in_flight;
  if (limit > 0 && view.at_work->load(std::memory_order_relaxed) >= limit) {
    d.out.retry_soon = true;
    d.note("in_flight", fmt::format("rollout {} has {} devices at work, its limit", rollout.id, limit));
    return false;
  }
  return within_egress(d, view);
}

/// A place of its site for the device, where the policy counts them; who has not the label is not limited.
bool takes_place(Deciding& d, RolloutView const& view) {
  d.out.desired.takes.reset();
  auto const& limit = view.rollout.policy.per_place;
  if (!limit) return true;
  auto site = site_of(limit->label, d.device.hardware, d.device.labels);
  if (!site) return true;
  auto const others = d.asking.under_way.find(limit->label);
  if (others == d.asking.under_way.end() || others->second < limit->at_once) {
    d.out.desired.takes = std::move(site);
    return true;
  }
  d.note("place_taken", fmt::format("rollout {} updates {} of {}={} at one time, and {} under way: this device follows when it is done", view.rollout.id,
                                    limit->at_once, site->label, site->value, others->second == 1 ? std::string("1 is") : fmt::format("{} are", others->second)));
  d.out.waits_at = std::move(site);
  return false;
}

/// A device that may be control of the open window, and has not been yet.
bool joins_control(Deciding& d, RolloutView const& view) {
  auto const& progress = view.rollout.progress;
  auto const* const runs = d.other_version(view);
  bool const open = !progress.shut && !progress.judged && view.window_now->load(std::memory_order_relaxed) <= progress.window;  // the snapshot may be older
  if (runs == nullptr || !open) return false;
  if (!may_start(d, view) || !within_limits(d, view)) return false;
  d.prove(view, progress.window, true, *runs);
  return true;
}

/// A device that a live rollout covers and has not told yet.
bool joins(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  if (rollout.waits_to_begin()) {
    auto const before = d.snapshot.by_n.find(rollout.after_n.value_or(0));
    d.note("blocked", before == d.snapshot.by_n.end()
                          ? fmt::format("rollout {} waits for its time, for the one that it comes after, or to be planned over the fleet of now", rollout.id)
                          : fmt::format("rollout {} comes after {}, which is {}", rollout.id, before->second->rollout.id, to_string(before->second->rollout.state)));
    return false;
  }
  auto const seat = d.seat(view);
  if (seat == Seat::control && joins_control(d, view)) return true;
  if (d.was_held_back(view)) {
    d.note("held_back", fmt::format("held back by rollout {}: this device follows once it has completed", rollout.id));
    return false;
  }
  if (seat != Seat::canary) {
    d.note("later_stage", fmt::format("rollout {} is in stage {} of {}; this device is in {}", rollout.id, rollout.stage, rollout.policy.stage_count(),
                                      d.stage_of(view) == 0 ? std::string("none of its stages") : fmt::format("stage {}", d.stage_of(view))));
    return false;
  }
  if (!may_start(d, view) || !within_limits(d, view) || !takes_place(d, view)) return false;
  d.target(view, rollout.attempt, true);
  d.note("in_stage", fmt::format("stage {} of rollout {} of {}", d.out.desired.stage, rollout.id, rollout.version));
  return true;
}

/// Whether a device that failed tries again now, by the policy or by a person's word; says when.
bool tries_once_more(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  auto const& rollout = view.rollout;
  if (!row.again) return false;
  if (*row.again == Millis{0}) return true;
  // What failed in a stage is evidence for it first.
  bool const passed = rollout.state == State::completed || rollout.stage > row.stage || without_gates(rollout.policy);
  auto const left = *row.again - d.asking.now.service;
  if (passed && left <= Millis{0}) return true;
  if (passed) d.out.valid_until = d.asking.now.wall + left;
  d.note("tries_again", passed ? fmt::format("attempt {} of {} failed in rollout {}{}; it tries again in {}", row.attempt, rollout.version, rollout.id, said(row),
                                             fleet::to_string(std::chrono::ceil<seconds>(left)))
                               : fmt::format("attempt {} of {} failed in rollout {}{}; it tries again once stage {} has passed", row.attempt, rollout.version, rollout.id,
                                             said(row), rollout.stage));
  return false;
}

/// A control: it goes on proving, proves again in the next window, or becomes a canary.
bool keeps_control(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  auto const* const runs = d.other_version(view);
  if (ds::is_undecided(row.state) && row.attempt == view.rollout.progress.window && runs != nullptr && d.seat(view) == Seat::control) {
    d.prove(view, row.attempt, false, *runs);
    return true;
  }
  if (d.seat(view) == Seat::control && row.attempt >= view.rollout.progress.window) {
    d.note("control", fmt::format("control of rollout {}: its part in window {} is {}", view.rollout.id, row.attempt, row.state));
    return false;
  }
  return joins(d, view);
}

/// It ran the release, and its stratum was quarantined: it is told nothing but to return, as where the whole rollout is taken back.
bool is_ill(Deciding const& d, RolloutView const& view, DeviceRow const& row) {
  auto const& rollout = view.rollout;
  return row.exposed && row.state != ds::kFailed && rollout.policy.on_harm == OnHarm::rollback && rollout.progress.quarantined.contains(d.stratum(view));
}
bool return_ill(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  if (must_return(view, row, d.device)) {
    take_back(d, view, row);
    return true;
  }
  d.note("quarantined", fmt::format("stratum {} of rollout {} has shown harm by itself: this device has returned", d.stratum(view), view.rollout.id));
  return false;
}

/// A device that a live rollout covers and already told: does it keep its target? Otherwise says why not.
bool keeps(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  if (row.arm != Arm::canary) return keeps_control(d, view, row);
  auto const& rollout = view.rollout;
  bool const failed = row.state == ds::kFailed;
  if (is_ill(d, view, row)) return return_ill(d, view, row);
  if (!failed && row.state != ds::kIneligible && row.state != ds::kReverted && row.state != ds::kDropped && row.state != ds::kLeft) {
    d.target(view, row.attempt, false);
    d.note("in_stage", fmt::format("stage {} of rollout {}; its attempt {} is {}", d.out.desired.stage, rollout.id, row.attempt, row.state));
    return true;
  }
  // A row is dropped in a live rollout where it was paused between the decision and its commit; who left may have come back.
  bool const staged = (failed && row.attempt < rollout.attempt) || row.state == ds::kDropped || row.state == ds::kLeft;
  bool const once_more = (failed || row.state == ds::kIneligible) && rollout.state == State::running && tries_once_more(d, view, row);
  if (once_more || (staged && rollout.state == State::running && d.seat(view) == Seat::canary)) {
    if (!may_start(d, view) || !within_limits(d, view) || !takes_place(d, view)) return false;
    d.target(view, once_more ? std::max(row.attempt + 1, rollout.attempt) : rollout.attempt, true);
    d.note("in_stage", fmt::format("told again by rollout {}, attempt {}", rollout.id, d.out.desired.target.attempt));
    return true;
  }
  if (failed && !row.again)
    d.note("failed", fmt::format("attempt {} of {} failed in rollout {}{}; fleetctl rollout retry {} --device {} tries again", row.attempt, rollout.version,
                                 rollout.id, said(row), rollout.id, d.device.id));
  else if (!failed) d.note(row.state, fmt::format("the device is {} in rollout {}{}", row.state, rollout.id, said(row)));
  else if (rollout.state != State::running) d.note("failed", fmt::format("attempt {} of {} failed in rollout {}{}; it tries again once that goes on", row.attempt, rollout.version, rollout.id, said(row)));
  return false;
}

/// Whether a rollout has a say at all; otherwise notes why not.
bool covers(Deciding& d, RolloutView const& view, DeviceRow const* row) {
  auto const& rollout = view.rollout;
  if (!selects(view, d.device, row)) {
    d.note("not_selected", fmt::format("rollout {} selects '{}'", rollout.id, rollout.selector));
    d.out.desired.because.back().selector = rollout.selector;
    return false;
  }
  if (view.revoked()) {
    d.note("revoked", fmt::format("release {} of rollout {} was revoked", rollout.version, rollout.id));
    return false;
  }
  if (view.has_variant(d.device.hardware)) return true;
  d.note("no_variant", fmt::format("release {} has no variant for hardware {}", rollout.version, d.device.hardware));
  return false;
}

bool decide_live(Deciding& d, ModelRollouts const& of_model) {
  RolloutView const* holder = nullptr;
  bool found = false;
  for (auto const& view : of_model.live) {
    auto const* const row = find_row(d.rows, *view);
    if (holder != nullptr) {
      if (selects(*view, d.device, row)) d.note("blocked", fmt::format("rollout {} waits: {} holds this device", view->rollout.id, holder->rollout.id));
      continue;
    }
    if (!covers(d, *view, row)) continue;
    if (view->rollout.waits_to_begin()) {  // it holds nobody yet, whatever its priority
      joins(d, *view);
      continue;
    }
    holder = view.get();
    d.out.holder = view->rollout.id;
    found = row != nullptr ? keeps(d, *view, *row) : joins(d, *view);
  }
  return found;
}

bool decide_aborted(Deciding& d, RolloutView const& view, DeviceRow const* row) {
  if (row == nullptr || row->arm != Arm::canary || !row->exposed || row->state == ds::kFailed || row->state == ds::kReverted || row->state == ds::kDropped || row->state == ds::kLeft ||
      view.revoked())
    return false;
  auto const running = d.device.running.versions.find(view.rollout.model);
  if (running != d.device.running.versions.end() && running->second != view.rollout.version) return false;
  d.target(view, row->attempt, false);
  d.note("aborted", fmt::format("rollout {} was aborted after this device had switched: it keeps {}", view.rollout.id, view.rollout.version));
  return true;
}

bool decide_completed(Deciding& d, RolloutView const& view, DeviceRow const* row) {
  auto const& rollout = view.rollout;
  if (!covers(d, view, row)) return false;
  bool const canary = row != nullptr && row->arm == Arm::canary;
  if (!canary && d.seat(view) != Seat::canary) return false;
  if (canary && is_ill(d, view, *row)) return return_ill(d, view, *row);
  bool const told = canary && row->state != ds::kDropped && row->state != ds::kLeft;
  bool const out = told && (row->state == ds::kFailed || row->state == ds::kIneligible || row->state == ds::kReverted);
  bool const once_more = out && row->state != ds::kReverted && tries_once_more(d, view, *row);
  if (out && !once_more) {
    if (row->again) return false;  // says when
    d.note(row->state, fmt::format("the device is {} in rollout {}{}", row->state, rollout.id, said(*row)));
    return false;
  }
  bool const joins = !told || once_more;
  if (joins && rollout.progress.quarantined.contains(d.stratum(view))) {
    d.note("quarantined", fmt::format("stratum {} of rollout {} had shown harm by itself: it was left out", d.stratum(view), rollout.id));
    return false;
  }
  if (joins && (is_frozen(d, view) || !(once_more ? within_limits(d, view) : within_egress(d, view)) || !takes_place(d, view))) return false;
  d.target(view, once_more ? row->attempt + 1 : told ? row->attempt : rollout.attempt, joins);
  d.note("completed", fmt::format("rollout {} of {} is completed and selects this device", rollout.id, rollout.version));
  return true;
}

bool decide_ended(Deciding& d, ModelRollouts const& of_model) {
  std::set<std::int64_t> taken_back;  // releases that a newer rollout took back here
  for (auto const& view : of_model.ended) {
    auto const& rollout = view->rollout;
    auto const* const row = find_row(d.rows, *view);
    if (rollout.state == State::rolling_back || rollout.state == State::rolled_back) {
      if (!selects(*view, d.device, row)) continue;
      taken_back.insert(rollout.release_n);
      if (row != nullptr && row->exposed) d.note("reverted", fmt::format("rollout {} of {} was taken back", rollout.id, rollout.version));
    } else if (taken_back.contains(rollout.release_n)) {
      continue;
    } else if (rollout.state == State::aborted ? decide_aborted(d, *view, row) : decide_completed(d, *view, row)) {
      return true;
    }
  }
  return false;
}

/// Whether the version that the device ran before was withdrawn, too.
bool returns_to_revoked(ModelRollouts const& of_model, DeviceRow const& row) {
  auto const names_it = [&](auto const& view) { return view->rollout.version == *row.from_version && view->revoked(); };
  return row.from_version &&
         (std::any_of(of_model.ended.begin(), of_model.ended.end(), names_it) || std::any_of(of_model.live.begin(), of_model.live.end(), names_it));
}

/// Back to the version before; where that was revoked, to the newest completed rollout of what stands. A revoked release is no place to go back to: where
/// nothing stands the model is taken away, as where none ran before.
void give_back(Deciding& d, ModelRollouts const& of_model, RolloutView const& view, DeviceRow const& row) {
  if (!returns_to_revoked(of_model, row)) return take_back(d, view, row);
  d.note("revoked",
         fmt::format("rollout {} of {} is taken back; {}, which ran before it, was revoked", view.rollout.id, view.rollout.version, *row.from_version));
  if (!decide_ended(d, of_model)) {
    auto nowhere = row;
    nowhere.from_version.reset();
    nowhere.from_digest.reset();
    return take_back(d, view, nowhere);
  }
  // A way back waits for no window.
  d.out.desired.target.conditions = {};
  d.out.desired.target.windows.clear();
}

void decide_among(Deciding& d, ModelRollouts const& of_model) {
  for (auto const& view : of_model.ended) {
    auto const state = view->rollout.state;
    auto const* const row = find_row(d.rows, *view);
    if ((state == State::rolling_back || state == State::rolled_back) && row != nullptr && must_return(*view, *row, d.device))
      return give_back(d, of_model, *view, *row);
  }
  if (decide_live(d, of_model) || decide_ended(d, of_model)) return;
  if (d.out.desired.because.empty()) d.note("no_rollout", "no rollout covers this device");
}

/// Would the target send the device from what it runs to an older release, or to none? What the catalog does not know counts as newer.
bool sends_back(Desired const& desired, RolloutView const& view, registry::DeviceFacts const& device) {
  auto const runs = device.running.versions.find(desired.model);
  if (runs == device.running.versions.end() || runs->second == desired.version) return false;
  if (desired.target.action != wire::Action::install) return true;
  auto const known = device.running.known.find(desired.model);
  return known == device.running.known.end() || known->second > view.rollout.release_n;
}

/// What a backup says of the past is no order: a device that has gone on since stays where it is until a person resumes the rollout.
void hold_restored(Deciding& d) {
  auto& desired = d.out.desired;
  auto const view = d.snapshot.by_n.find(desired.rollout_n);
  if (desired.target.model.empty() || view == d.snapshot.by_n.end()) return;
  auto const& rollout = view->second->rollout;
  if (rollout.restored != Restored::held || !sends_back(desired, *view->second, d.device)) return;
  d.note("restored", fmt::format("this server was restored from a backup: rollout {} would send the device from {} back to {}; it waits until a person resumes it",
                                 rollout.id, d.device.running.versions.at(desired.model), desired.version.empty() ? "none" : desired.version));
  desired.target = {};
  desired.version.clear();
  desired.joins = false;
  desired.takes.reset();
}

}  // namespace

ModelDecision decide_model(Snapshot const& snapshot, std::string const& model, registry::DeviceFacts const& device, DeviceRows const& rows, Asking const& asking) {
  Deciding d{snapshot, device, rows, asking, {}};
  d.out.desired.model = model;
  auto const found = snapshot.models.find(model);
  if (found == snapshot.models.end()) d.note("no_rollout", "no rollout of this model was ever started");
  else decide_among(d, found->second);
  hold_restored(d);
  return std::move(d.out);
}

}  // namespace fleet::rollout
