#include "server/rollout/engine/verdict_json.hpp"
#include "server/rollout/shell/gathered.hpp"
#include "server/rollout/shell/judge_loop.hpp"
#include "server/rollout/shell/presence.hpp"
#include "server/rollout/shell/replan.hpp"

#include <fmt/format.h>

/// What the judge does before a rollout begins, after it ended, and once an hour.
namespace fleet::rollout {
namespace {

constexpr Millis kEndedEvery = std::chrono::minutes(1);

}  // namespace

/// A rollout whose time has come begins over the fleet of now, in the round after this one. Where that cannot be planned, a person decides.
Result<bool> JudgeLoop::plan_anew(Watch& watch, Standing const& standing) {
  auto const& rollout = watch.rollout;
  bool const nobody = standing.waits_for == kSomebody;
  if (standing.begun || (!standing.waits_for.empty() && !nobody) || rollout.state != State::running || (watch.planned && !nobody)) return false;
  auto const now = services_.clock.wall();
  FLEET_TRY(bool const old, plan_is_old(services_.store.reader(), rollout, now));
  watch.planned = !old;
  if (!old) return false;
  auto const planned = replan(services_.store, rollout, now);
  watch.fresh = true;
  watch.planned = planned && *planned;
  if (planned) return true;
  FLEET_CHECK(write(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto current, load_rollout(tx.connection(), rollout.n));
    if (current.revision != rollout.revision) return {};
    auto const reason = fmt::format("it cannot be planned over the fleet of now: {}", planned.error().detail);
    current.verdict = noted(current.verdict, "plan", reason, now);
    return transition(tx, current, Event::pause, {now, "system:judge", reason, ""});
  }));
  return true;
}

/// Devices that were at work when their rollout ended are silent in time, too: nobody judges them, but lists should not call them busy for ever.
Result<void> JudgeLoop::mark_ended(db::Connection& reader) {
  auto const now = services_.clock.mono();
  if (ended_looked_ != MonoTime{} && now < ended_looked_ + kEndedEvery) return {};
  ended_looked_ = now;
  FLEET_TRY(auto const snapshot, snapshot_());
  for (auto const& [n, view] : snapshot->by_n) {
    auto const state = view->rollout.state;
    if (state != State::completed && state != State::aborted) continue;
    FLEET_CHECK(mark_quiet(reader, view->rollout));
    if (view->rollout.policy.in_flight > 0) miscounted_.push_back(view);  // who fell silent is at work no more
  }
  return {};
}

/// Once an hour: who is out of reach. Not while the fault may be ours.
Result<void> JudgeLoop::keep_presence() {
  auto const now = services_.clock.wall();
  auto const hour = std::chrono::floor<std::chrono::hours>(now.time_since_epoch()).count();
  if (hour == looked_hour_ || clock_.is_coming_back() || clock_.stands_still()) return {};
  looked_hour_ = hour;
  auto& reader = services_.store.reader();
  FLEET_TRY(bool const looked, has_looked(reader, now));
  if (looked) return {};
  FLEET_TRY(auto const row, look_around(reader, clock_.take_returned(), now));
  return write(store::Lane::upkeep, [&](store::Tx& tx) { return keep_hour(tx, row); });
}

}  // namespace fleet::rollout
