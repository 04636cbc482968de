#include "server/rollout/engine/decide.hpp"

#include "server/rollout/engine/turn.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
  d.target(view, row.attempt, false, row.arm);
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
  d.note("reverting", fmt::format("rollout {} of {} is taken back: {}", view.rollout.id, view.rollout.version_of(row.arm),
                                  row.from_version ? "return to " + *row.from_version : std::string("nothing that stands ran before, so remove it")));
}

/// A device that may be control of the open window, and has not been yet.
bool joins_control(Deciding& d, RolloutView const& view) {
  auto const& progress = view.rollout.progress;
  auto const* const runs = d.other_version(view);
  bool const open = !progress.shut && !progress.judged && view.window_now->load(std::memory_order_relaxed) <= progress.window;  // the snapshot may be older
  if (runs == nullptr || !open) return false;
  if (!may_start(d, view) || !within_limits(d, view)) return false;
  d.prove(view, progress.window, true, *runs, d.was_held_back(view) ? Arm::holdback : Arm::control);
  return true;
}

/// A device that a live rollout covers and has not told yet.
bool joins(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  if (rollout.waits_to_begin() || view.ladder->is_of_nobody()) {
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
  if (seat != Seat::canary && seat != Seat::against) {
    d.note("later_stage", fmt::format("rollout {} is in stage {} of {}; this device is in {}", rollout.id, rollout.stage, rollout.policy.stage_count(),
                                      d.stage_of(view) == 0 ? std::string("none of its stages") : fmt::format("stage {}", d.stage_of(view))));
    return false;
  }
  if (!may_start(d, view) || !within_limits(d, view) || !within_plan(d, view) || !takes_place(d, view)) return false;
  d.join(view, seat);
  return true;
}

/// A control: it goes on proving, proves again in the next window, or becomes a canary.
bool keeps_control(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  auto const* const runs = d.other_version(view);
  if (auto const& version = view.rollout.version_of(row.arm); view.rollout.against) {  // it proves once, whatever window is open
    bool const proves = ds::is_undecided(row.state) && d.runs(view, version);
    if (proves) d.prove(view, row.attempt, false, version, row.arm);
    else d.note("control", fmt::format("{} of rollout {}: it is {}", to_string(row.arm), view.rollout.id, row.state));
    return proves;
  }
  if (ds::is_undecided(row.state) && row.attempt == view.rollout.progress.window && runs != nullptr && d.seat(view) == Seat::control) {
    d.prove(view, row.attempt, false, *runs, d.was_held_back(view) ? Arm::holdback : Arm::control);
    return true;
  }
  if (d.seat(view) == Seat::control && row.attempt >= view.rollout.progress.window) {
    d.note("control", fmt::format("control of rollout {}: its part in window {} is {}", view.rollout.id, row.attempt, row.state));
    return false;
  }
  return joins(d, view);
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
  auto const& rollout = view.rollout;
  if (!installs(row.arm)) return keeps_control(d, view, row);
  bool const failed = row.state == ds::kFailed;
  if (is_ill(view, row, d.stratum(view))) return return_ill(d, view, row);
  if (!failed && row.state != ds::kIneligible && row.state != ds::kReverted && row.state != ds::kReverting && row.state != ds::kDropped && row.state != ds::kLeft) {
    d.target(view, row.attempt, false, row.arm);
    d.note("in_stage", fmt::format("stage {} of rollout {}; its attempt {} is {}", d.out.desired.stage, rollout.id, row.attempt, row.state));
    return true;
  }
  // A row is dropped in a live rollout where it was paused between the decision and its commit; who left may have come back.
  bool const staged = (failed && row.attempt < rollout.attempt) || row.state == ds::kDropped || row.state == ds::kLeft;
  bool const once_more = (failed || row.state == ds::kIneligible) && rollout.state == State::running && tries_once_more(d, view, row);
  if (once_more || (staged && rollout.state == State::running && d.seat(view) == (row.arm == Arm::canary ? Seat::canary : Seat::against))) {
    if (!may_start(d, view) || !within_limits(d, view) || !takes_place(d, view)) return false;
    d.target(view, std::max(once_more ? row.attempt + 1 : row.attempt, rollout.attempt), true, row.arm);
    d.note("in_stage", fmt::format("told again by rollout {}, attempt {}", rollout.id, d.out.desired.target.attempt));
    return true;
  }
  if (failed && !row.again)
    d.note("failed", fmt::format("attempt {} of {} failed in rollout {}{}; fleetctl rollout retry {} --device {} tries again", row.attempt, rollout.version_of(row.arm),
                                 rollout.id, said(row), rollout.id, d.device.id));
  else if (!failed) d.note(row.state, fmt::format("the device is {} in rollout {}{}", row.state, rollout.id, said(row)));
  else if (rollout.state != State::running) d.note("failed", fmt::format("attempt {} of {} failed in rollout {}{}; it tries again once that goes on", row.attempt, rollout.version, rollout.id, said(row)));
  return false;
}

/// ": its member reader@3 was"; nothing where the release is no set, or was itself.
std::string revoked_members(Snapshot const& snapshot, RolloutView const& view) {
  std::vector<std::string> names;
  for (auto const& member : view.members) {
    auto const of_model = snapshot.revoked.find(member.model);
    if (of_model == snapshot.revoked.end()) continue;
    auto const& digests = of_model->second;
    if (std::find(digests.begin(), digests.end(), member.digest.hex()) != digests.end()) names.push_back(member.model + "@" + member.version);
  }
  return names.empty() ? std::string() : fmt::format(": its member {} was", fmt::join(names, ", "));
}

/// Whether a rollout has a say at all; otherwise notes why not.
bool covers(Deciding& d, RolloutView const& view, DeviceRow const* row) {
  auto const& rollout = view.rollout;
  if (!selects(view, d.device, row)) {
    d.note("not_selected", fmt::format("rollout {} selects '{}'", rollout.id, rollout.selector));
    d.out.desired.because.back().selector = rollout.selector;
    return false;
  }
  if (auto const arm = revoked_for(view, row)) {
    d.note("revoked", fmt::format("release {} of rollout {} was revoked{}", rollout.version_of(*arm), rollout.id, revoked_members(d.snapshot, view)));
    d.out.desired.because.back().names_others = !view.members.empty();
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
  if (row == nullptr || !installs(row->arm) || !row->exposed || row->state == ds::kFailed || row->state == ds::kReverted || row->state == ds::kDropped || row->state == ds::kLeft ||
      view.revoked(row->arm))
    return false;
  auto const& version = view.rollout.version_of(row->arm);
  auto const running = d.device.running.versions.find(view.rollout.model);
  bool const known = running != d.device.running.versions.end();
  if (known ? running->second != version : ds::is_undecided(row->state)) return false;  // it was at an attempt, and had not switched
  d.target(view, row->attempt, false, row->arm);
  d.note("aborted", fmt::format("rollout {} was aborted after this device had switched: it keeps {}", view.rollout.id, version));
  return true;
}

bool decide_completed(Deciding& d, RolloutView const& view, DeviceRow const* row) {
  auto const& rollout = view.rollout;
  if (!covers(d, view, row)) return false;
  bool const canary = row != nullptr && installs(row->arm);
  if (rollout.against && (!canary || (ds::is_undecided(row->state) && !row->exposed))) return false;  // after a test all keep what they have, and nobody new begins
  if (!canary && d.seat(view) != Seat::canary) return false;
  if (canary && is_ill(view, *row, d.stratum(view))) return return_ill(d, view, *row);
  bool const told = canary && row->state != ds::kDropped && row->state != ds::kLeft;
  bool const out = told && (row->state == ds::kFailed || row->state == ds::kIneligible || row->state == ds::kReverted);
  bool const once_more = out && row->state != ds::kReverted && tries_once_more(d, view, *row);
  if (out && !once_more) {
    if (row->again) return false;  // says when
    d.note(row->state, fmt::format("the device is {} in rollout {}{}", row->state, rollout.id, said(*row)));
    return false;
  }
  bool const joins = !told || once_more;
  if (rollout.against && !told) return false;
  if (joins && rollout.progress.quarantined.contains(d.stratum(view))) {
    d.note("quarantined", fmt::format("stratum {} of rollout {} had shown harm by itself: it was left out", d.stratum(view), rollout.id));
    return false;
  }
  if (joins && (is_frozen(d, view) || !(once_more ? within_limits(d, view) : within_egress(d, view)) || !takes_place(d, view))) return false;
  d.target(view, once_more ? row->attempt + 1 : told ? row->attempt : canary ? std::max(row->attempt, rollout.attempt) : rollout.attempt, joins, told ? row->arm : Arm::canary);
  d.note("completed", fmt::format("rollout {} of {} is completed and selects this device", rollout.id, rollout.version_of(d.out.desired.arm)));
  return true;
}

bool decide_ended(Deciding& d, ModelRollouts const& of_model) {
  std::set<std::int64_t> taken_back;  // releases that a newer rollout took back here
  for (auto const& view : of_model.ended) {
    auto const& rollout = view->rollout;
    auto const* const row = find_row(d.rows, *view);
    if (rollout.state == State::rolling_back || rollout.state == State::rolled_back) {
      if (!selects(*view, d.device, row)) continue;
      if (row != nullptr && rollout.keeps(row->arm) && decide_completed(d, *view, row)) return true;
      if (row != nullptr && ran_before(*view, *row)) {  // whatever gave it the release stands
        d.note("reverted", fmt::format("rollout {} of {} is taken back: this device ran that before it, and keeps it", rollout.id, rollout.version_of(row->arm)));
        continue;
      }
      taken_back.insert(rollout.release_n);
      if (row != nullptr && row->exposed) d.note("reverted", fmt::format("rollout {} of {} was taken back", rollout.id, rollout.version_of(row->arm)));
    } else if (taken_back.contains(rollout.release_n)) {
      continue;
    } else if (rollout.state == State::aborted ? decide_aborted(d, *view, row) : decide_completed(d, *view, row)) {
      return true;
    }
  }
  return false;
}

/// Back to the version before; where that was revoked, to the newest completed rollout of what stands. A revoked release is no place to go back to: where
/// nothing stands the model is taken away, as where none ran before.
void give_back(Deciding& d, ModelRollouts const& of_model, RolloutView const& view, DeviceRow const& row) {
  if (!returns_to_revoked(of_model, row)) return take_back(d, view, row);
  d.note("revoked",
         fmt::format("rollout {} of {} is taken back; {}, which ran before it, was revoked", view.rollout.id, view.rollout.version_of(row.arm), *row.from_version));
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
    if (row == nullptr || !must_return(*view, *row, d.device)) continue;
    d.out.holder = view->rollout.id;
    return give_back(d, of_model, *view, *row);
  }
  if (decide_live(d, of_model) || decide_ended(d, of_model)) return;
  if (d.out.desired.because.empty()) d.note("no_rollout", "no rollout covers this device");
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
