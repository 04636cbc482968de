#include "server/registry/device_facts.hpp"
#include "server/rollout/shell/decided.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/gathered.hpp"
#include "server/rollout/shell/judge_loop.hpp"

#include <algorithm>

/// Members of the open window, looked at one by one: who has not been told, and why.
namespace fleet::rollout {
namespace {

constexpr Millis kRescan = std::chrono::minutes(1);
/// After a window opens, parked polls wake and join within this, and a millisecond more for each member; until then nobody counts as out of reach.
constexpr Millis kSettle = seconds(2);
/// Walking devices one by one is paid back by so many times its length: what grows with the fleet or a window takes a small share of a core whatever their size.
constexpr int kWalkRestFactor = 400;

}  // namespace

std::array<int, 3> JudgeLoop::reach_of(Progress const& progress) { return {progress.window, progress.canaries, progress.controls}; }

Result<void> JudgeLoop::scan_members(db::Connection& reader, RolloutView const& view, Watch& watch) {
  watch.members.clear();
  auto const began = services_.clock.mono();
  auto const take = [&](registry::DeviceFacts const& device) -> Result<void> {
    auto const stratum = stratum_of(view.rollout.policy.strata, device.hardware, device.labels);
    auto const seat = view.seat(stratum, place(view.rollout.salt, device.id));
    if (view.has_variant(device.hardware) && seat != Seat::later && seat != Seat::held) watch.members.push_back(device.n);
    return {};
  };
  FLEET_CHECK(registry::scan_selected(reader, view.selector, take));
  watch.members_window = reach_of(view.rollout.progress);
  watch.members_until = services_.clock.mono() + std::max<Millis>(kRescan, kWalkRestFactor * (services_.clock.mono() - began));
  return {};
}

Result<void> JudgeLoop::look_at_members(db::Connection& reader, Watch& watch) {
  auto const& rollout = watch.rollout;
  FLEET_TRY(auto const snapshot, snapshot_());
  auto const found = snapshot->by_n.find(rollout.n);
  watch.undispatched = 1;
  watch.waits_at.clear();
  // The snapshot is older than the window: look again at the next round.
  if (found == snapshot->by_n.end() || reach_of(found->second->rollout.progress) != reach_of(rollout.progress)) return {};
  if (watch.members_window != reach_of(rollout.progress) || services_.clock.mono() >= watch.members_until) FLEET_CHECK(scan_members(reader, *found->second, watch));
  auto const began = services_.clock.mono();
  FLEET_CHECK(walk_members(reader, *snapshot, watch));
  watch.members_due = services_.clock.mono() + kWalkRestFactor * (services_.clock.mono() - began);
  return {};
}

/// Members of the window that were not told yet: within reach and about to join, held by another rollout, or offline.
Result<void> JudgeLoop::walk_members(db::Connection& reader, Snapshot const& snapshot, Watch& watch) {
  auto const& rollout = watch.rollout;
  FLEET_TRY(auto const told, read_told(reader, rollout));
  std::int64_t offline = 0, blocked = 0, beside = 0;
  std::set<std::string> blocked_by;
  bool const settling = clock_.now() < rollout.progress.opened + kSettle + Millis(static_cast<std::int64_t>(watch.members.size()));
  Instant const now{services_.clock.wall(), clock_.now()};
  for (auto const device_n : watch.members) {
    if (std::binary_search(told.begin(), told.end(), device_n)) continue;
    FLEET_TRY(bool const there, reachable(reader, device_n, Millis{0}));
    if (!there && !settling) {
      ++offline;
      continue;
    }
    FLEET_TRY(auto const device, registry::load_device_facts(reader, device_n));
    FLEET_TRY(auto const rows, read_device_rows(reader, snapshot, device_n));
    FLEET_TRY(auto const all, decide_all(reader, snapshot, device, rows, now));
    auto const found = std::find_if(all.begin(), all.end(), [&](ModelDecision const& one) { return one.desired.model == rollout.model; });
    if (found == all.end()) continue;
    auto const& decided = *found;
    if (decided.beyond_plan) break;  // as many were told as were planned: so is everybody else who was not, and their turn comes with who starts late
    auto const& first = decided.desired.overtaken_by;  // of members and sets: that one speaks instead
    bool const held_by_limits = first.empty() && decided.holder == rollout.id && (decided.retry_soon || decided.valid_until || decided.waits_at);
    // One is enough to wait for; the rest is looked at when none is left.
    if (held_by_limits || (decided.desired.joins && decided.desired.rollout_n == rollout.n)) {
      if (decided.waits_at) watch.waits_at = decided.waits_at->label + "=" + decided.waits_at->value;
      return {};
    }
    if (rows.contains(rollout.n)) continue;
    ++blocked;
    if (!first.empty()) ++beside;
    else if (!decided.holder.empty() && decided.holder != rollout.id && blocked_by.size() < kNamed) blocked_by.insert(decided.holder);
  }
  watch.undispatched = 0;
  watch.offline = offline;
  watch.blocked = blocked;
  watch.blocked_beside = beside;
  watch.blocked_by = std::move(blocked_by);
  return {};
}

}  // namespace fleet::rollout
