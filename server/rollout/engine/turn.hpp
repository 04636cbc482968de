#pragma once

#include "server/rollout/engine/decide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

/// One decision of decide.cpp in the making, and whether it is a device's turn: what holds back one that may be told. Pure.
namespace fleet::rollout {

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

  void target(RolloutView const& view, std::int64_t attempt, bool joins, Arm arm = Arm::canary) {
    auto const& rollout = view.rollout;
    auto const shipped = rollout.shipped(arm);
    auto& desired = out.desired;
    desired.version = shipped.version;
    desired.arm = arm;
    desired.rollout_n = rollout.n;
    auto const stage = stage_of(view);  // a top-up reaches beyond a stage's size
    desired.stage = was_held_back(view) ? kHeldBack : std::max(stage == 0 ? rollout.stage : std::min(stage, rollout.stage), 1);
    desired.stratum = stratum(view);
    desired.joins = joins;
    auto& target = desired.target;
    target.model = rollout.model;
    target.path = fmt::format("models/{}/{}/release.json", rollout.model, shipped.version);
    target.length = static_cast<std::uint64_t>(shipped.document_bytes);
    target.hashes = {{"sha256", shipped.digest.hex()}};
    target.rollout = rollout.id;
    target.attempt = attempt;
    target.action = installs(arm) ? wire::Action::install : wire::Action::prove;
    target.conditions = rollout.policy.device;
    target.windows = rollout.policy.windows;
  }

  /// What a control is told: to prove what it runs, under the conditions of canaries. Path, length and digest are the caller's to fill in.
  void prove(RolloutView const& view, std::int64_t attempt, bool joins, std::string const& version, Arm arm) {
    target(view, attempt, joins, arm);
    out.desired.version = version;
    out.desired.target.path = fmt::format("models/{}/{}/release.json", view.rollout.model, version);
    out.desired.target.length = 0;
    out.desired.target.hashes.clear();
    out.desired.takes.reset();  // it changes nothing
    note("control", fmt::format("{} of rollout {}: it proves {} beside the devices of window {}", to_string(arm), view.rollout.id, version, view.rollout.progress.window));
  }

  /// What it is told where its seat is one that gets a release: of a test, to prove it where it runs it already.
  void join(RolloutView const& view, Seat seat) {
    auto const& rollout = view.rollout;
    auto const arm = seat == Seat::against ? Arm::against : Arm::canary;
    if (rollout.against && runs(view, rollout.version_of(arm))) return prove(view, rollout.attempt, true, rollout.version_of(arm), arm == Arm::canary ? Arm::standing : Arm::control);
    target(view, rollout.attempt, true, arm);
    note("in_stage", fmt::format("stage {} of rollout {} of {}", out.desired.stage, rollout.id, rollout.version_of(arm)));
  }
  [[nodiscard]] bool runs(RolloutView const& view, std::string const& version) const {
    auto const running = device.running.versions.find(view.rollout.model);
    return running != device.running.versions.end() && running->second == version;
  }
};

/// " (golden_mismatch: line 3 differs)", or nothing.
[[nodiscard]] std::string said(DeviceRow const& row);
/// No new device starts between some times that the policy names; says so.
[[nodiscard]] bool is_frozen(Deciding& d, RolloutView const& view);
/// Nothing new starts in a rollout that is not running, in a stratum that was quarantined, or while changes are frozen; says why.
[[nodiscard]] bool may_start(Deciding& d, RolloutView const& view);
[[nodiscard]] bool within_egress(Deciding& d, RolloutView const& view);
/// When `limits.egress` lets one more begin (microseconds of service time; 0: nobody has begun yet), once one begins `now` to fetch so many bytes. Time
/// that nobody used is kept for ten seconds: devices that wait ask each five, many of them at one moment, and a line of one a moment would be idle between.
[[nodiscard]] std::int64_t line_after(std::int64_t free_at_us, Millis now, std::int64_t bytes, std::uint64_t bytes_per_s);
[[nodiscard]] bool within_limits(Deciding& d, RolloutView const& view);
/// Of a fleet that grew, no more at one time than the rollout was planned to tell; says so.
[[nodiscard]] bool within_plan(Deciding& d, RolloutView const& view);
/// A place of its site for the device, where the policy counts them; who has not the label is not limited.
[[nodiscard]] bool takes_place(Deciding& d, RolloutView const& view);
/// Whether a device that failed tries again now, by the policy or by a person's word; says when.
[[nodiscard]] bool tries_once_more(Deciding& d, RolloutView const& view, DeviceRow const& row);

}  // namespace fleet::rollout
