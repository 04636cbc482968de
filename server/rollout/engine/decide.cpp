#include "server/rollout/engine/decide.hpp"

#include "server/rollout/engine/turn.hpp"

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
  return row.from_version &&
         std::any_of(of_model.revoked.begin(), of_model.revoked.end(), [&](auto const& view) { return view->rollout.version == *row.from_version; });
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
  for (auto const& view : of_model.taken_back) {
    auto const* const row = find_row(d.rows, *view);
    if (row != nullptr && must_return(*view, *row, d.device)) return give_back(d, of_model, *view, *row);
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
