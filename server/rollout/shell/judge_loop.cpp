#include "server/rollout/shell/judge_loop.hpp"

#include "core/base/log.hpp"
#include "server/events/audit.hpp"
#include "server/registry/device_facts.hpp"
#include "server/rollout/engine/verdict_json.hpp"
#include "server/rollout/engine/windows.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/gathered.hpp"
#include "server/rollout/shell/planner.hpp"
#include "server/rollout/shell/presence.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/quiet_rows.hpp"
#include "server/rollout/shell/series.hpp"
#include "server/rollout/shell/settle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fleet::rollout {
namespace {

constexpr Millis kEvery{250};
constexpr Millis kTimers{1'000};
/// A parked poll is quiet that long, and yet its device will take the way back at once.
constexpr Millis kParked = seconds(75);
constexpr std::int64_t kPollEveryDefault_s = 60;
/// Who was heard so long ago by an earlier process is expected back.
constexpr Millis kRemembered = std::chrono::hours{24};
/// A round's cost in time is paid back by so many times its length before the next.
constexpr int kRestFactor = 10;
constexpr int kPiecesARound = 20;
/// Rows of a rollout whose silence is due, in one look; the next look goes on. The writer's lanes are fair to them: they are no part of the look's cost.
constexpr int kQuietPiecesALook = 5;
/// So many members of a window are looked at one by one, to end it as soon as all within reach have been told; a larger one is given time.
constexpr std::int64_t kMembersLookedAt = 20'000;
/// Rows looked at in one look for devices that return.
constexpr int kReturnsALook = 2'000;

}  // namespace

JudgeLoop::JudgeLoop(Services& services, ServiceClock& clock, SiteQueue& sites, GetSnapshot snapshot)
    : services_(services), clock_(clock), sites_(sites), snapshot_(std::move(snapshot)) {}

JudgeLoop::~JudgeLoop() { stop(); }

void JudgeLoop::start() {
  if (thread_.joinable()) return;
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void JudgeLoop::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void JudgeLoop::changed(std::int64_t rollout_n) {
  std::lock_guard const lock(mutex_);
  changed_.insert(rollout_n);
}

void JudgeLoop::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    note_round(round());
    lock.lock();
    wake_.wait_for(lock, kEvery, [this] { return stopping_; });
  }
  lock.unlock();
  service_kept_ = {};
  if (auto const kept = keep_service_time(); !kept) log::warn("judge.service_time", {{"detail", kept.error().detail}});
}

/// Told once, however long it lasts.
void JudgeLoop::note_round(Result<int> const& judged) {
  if (!judged && judged.error().code == store::Lease::kLost) return;
  auto const code = judged ? std::string() : judged.error().code;
  clock_.serves(judged || judged.error().kind != Kind::unavailable);
  if (code == failing_) return;
  if (judged) log::info("judge.goes_on");
  else log::error("judge.failed", {{"code", code}, {"detail", judged.error().detail}});
  failing_ = code;
}

/// What the leader alone writes.
Result<void> JudgeLoop::write(store::Lane lane, store::Job job) { return services_.store.write_wait(lane, services_.as_leader(std::move(job))); }

/// Rows of rollouts that were stopped or taken back; a bounded number of pieces a round.
Result<void> JudgeLoop::settle() {
  for (int i = 0; i < kPiecesARound; ++i) {
    FLEET_TRY(bool const more, settle_more(services_.store, services_.clock.wall()));
    if (!more) return {};
  }
  return {};
}

/// What a restart goes on from. Only while something is counted in it.
Result<void> JudgeLoop::keep_service_time() {
  auto const now = services_.clock.mono();
  if (watches_.empty() || (service_kept_ != MonoTime{} && now < service_kept_ + kServiceKept)) return {};
  service_kept_ = now;
  return write(store::Lane::verbs, [&](store::Tx& tx) { return save_service_time(tx, clock_.now()); });
}

Result<int> JudgeLoop::round() {
  clock_.tick();
  if (!services_.leads()) {
    watches_.clear();
    miscounted_.clear();
    return 0;
  }
  if (auto const kept = keep_presence(); !kept) log::warn("judge.presence", {{"detail", kept.error().detail}});
  FLEET_CHECK(settle());
  {
    FLEET_TRY(auto const snapshot, snapshot_());
    FLEET_CHECK(look_at_places(services_, *snapshot, clock_, sites_));
  }
  FLEET_CHECK(mark_ended(services_.store.reader()));
  std::set<std::int64_t> changed;
  {
    std::lock_guard const lock(mutex_);
    changed.swap(changed_);
  }
  auto& reader = services_.store.reader();
  std::vector<Light> judged_now;
  {
    auto rows = reader.prepare(queries::kJudged);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      judged_now.push_back({rows.int64(0), rows.int64(1), rows.text(2), rows.text(3)});
    }
  }
  std::erase_if(watches_, [&](auto const& entry) { return std::none_of(judged_now.begin(), judged_now.end(), [&](Light const& one) { return one.n == entry.first; }); });
  int judged = 0;
  for (auto const& [n, revision, release_state, against_state] : judged_now) {
    auto& watch = watches_[n];
    auto const now = services_.clock.mono();
    if (!watch.read || watch.rollout.revision != revision || watch.release_state != release_state || watch.against_state != against_state) {
      FLEET_TRY(watch.rollout, load_rollout(reader, n));
      watch.release_state = watch.rollout.release_state;
      watch.against_state = watch.rollout.against ? watch.rollout.against->state : std::string();
      FLEET_TRY(auto const ladder, load_ladder(reader, watch.rollout));
      watch.nobody = ladder.is_of_nobody();
      watch.read = watch.fresh = true;
    }
    watch.fresh = watch.fresh || changed.contains(n);
    if (!watch.fresh && now < watch.due) continue;
    if (now < watch.not_before) continue;
    watch.fresh = false;
    auto const marked = mark_quiet(reader, watch.rollout);
    auto const began = services_.clock.mono();
    watch.due = marked && *marked ? began : began + kTimers;
    if (auto const done = marked ? judge_one(reader, watch) : Result<void>(marked.error()); !done)
      log::error("judge.rollout_failed", {{"rollout", watch.rollout.id}, {"code", done.error().code}, {"detail", done.error().detail}});
    watch.not_before = services_.clock.mono() + kRestFactor * (services_.clock.mono() - began);
    ++judged;
  }
  FLEET_CHECK(count_again());
  FLEET_CHECK(keep_service_time());
  return judged;
}

Result<void> JudgeLoop::judge_one(db::Connection& reader, Watch& watch) {
  auto const& rollout = watch.rollout;
  FLEET_TRY(auto facts, gather(reader, watch));
  FLEET_TRY(auto standing, standing_of(reader, watch));
  FLEET_TRY(bool const planned, plan_anew(watch, standing));
  if (planned) return {};
  FLEET_TRY(auto const snapshot, snapshot_());
  auto const found = snapshot->by_n.find(rollout.n);
  if (found == snapshot->by_n.end()) return {};  // it started this moment: the next round
  auto const& view = *found->second;
  standing.is_set = !view.members.empty();
  bool const as_counted = view.at_work->load(std::memory_order_relaxed) == facts.at_work && view.told->load(std::memory_order_relaxed) == facts.told;
  if (!as_counted) miscounted_.push_back(found->second);
  view.beyond_max->store(beyond_plan(view.setting(), standing, facts), std::memory_order_relaxed);
  Look look{clock_.now(), std::move(standing), std::move(facts)};
  if (closes_window(view.setting(), rollout.progress, look)) {
    FLEET_TRY(look.facts.measured, read_measured(reader, view, rollout.progress.window));
  }
  auto stepped = step(view.setting(), rollout.progress, look);
  return write(watch, stepped, look.facts);
}

/// Of the rollouts where a count looked otherwise than its rows.
Result<void> JudgeLoop::count_again() {
  if (miscounted_.empty()) return {};
  auto const views = std::exchange(miscounted_, {});
  return services_.store.write_wait(store::Lane::upkeep, [&](store::Tx& tx) -> Result<void> {
    for (auto const& view : views) FLEET_CHECK(count_rows(tx.connection(), *view));
    return {};
  });
}

Result<Facts> JudgeLoop::gather(db::Connection& reader, Watch& watch) {
  auto const& rollout = watch.rollout;
  FLEET_TRY(auto facts, read_counts(reader, rollout));
  if (facts.failed != watch.failed) {
    FLEET_TRY(watch.failures, read_codes(reader, rollout.n));
    watch.failed = facts.failed;
  }
  facts.failures = watch.failures;
  if (facts.undecided > 0) {
    FLEET_TRY(facts.busy, read_busy(reader, rollout.n, kNamed));
  }
  FLEET_CHECK(read_metrics(reader, rollout, facts));
  if ((!rollout.policy.metrics.empty() || rollout.policy.drift) && !rollout.progress.judged) {
    if (watch.samples_window != rollout.progress.window) {
      FLEET_TRY(auto const habits, fleet_habits(reader));
      watch.samples_due = habits.report;
      watch.samples_window = rollout.progress.window;
    }
    facts.samples_due = watch.samples_due;
  }
  if (rollout.state == State::rolling_back) FLEET_CHECK(count_to_return(reader, watch, facts));
  bool const joining = rollout.state == State::running && !rollout.waits_to_begin() && facts.preparing == 0;
  bool const by_time = !rollout.full && rollout.attempt == 1 && rollout.policy.stage(std::max(rollout.stage, 1)).every > Millis{0};
  FLEET_TRY(auto const snapshot, snapshot_());
  auto const view = snapshot->by_n.find(rollout.n);
  auto const members = view == snapshot->by_n.end() ? 0 : view->second->ladder->counts.at(static_cast<std::size_t>(rollout.progress.controls));
  if (joining && !by_time && members <= kMembersLookedAt) {
    if (watch.members_window != reach_of(rollout.progress) || services_.clock.mono() >= watch.members_due) FLEET_CHECK(look_at_members(reader, watch));
    facts.undispatched = watch.undispatched;
    facts.waits_at = watch.waits_at;
  } else if (joining && !by_time) {
    auto const refused = Millis(view->second->place_refused_at->load(std::memory_order_relaxed));
    auto const since = std::max(rollout.progress.opened, refused);  // who polls has by then, unless others of its site come first
    facts.undispatched = clock_.now() < since + ServiceClock::kComeBack ? 1 : 0;
  }
  facts.offline = watch.offline;
  facts.blocked = watch.blocked;
  facts.blocked_beside = watch.blocked_beside;
  facts.blocked_by = watch.blocked_by;
  return facts;
}

/// Rows whose time came, in bounded pieces: upkeep, so that no report waits behind a fleet that fell silent. True: more are due.
Result<bool> JudgeLoop::mark_quiet(db::Connection& reader, Rollout const& rollout) {
  if (clock_.stands_still()) return false;
  FLEET_TRY(auto const snapshot, snapshot_());
  auto const view = snapshot->by_n.find(rollout.n);
  auto const limit = view == snapshot->by_n.end() ? Millis{0} : view->second->attempt_limit;
  for (int i = 0; i < kQuietPiecesALook; ++i) {
    FLEET_TRY(auto const quiet, find_quiet(reader, rollout, clock_.now()));
    if (quiet.empty()) return false;
    FLEET_CHECK(write(store::Lane::upkeep, [&](store::Tx& tx) { return mark_quiet_rows(tx, rollout, quiet, limit, {services_.clock.wall(), clock_}); }));
    if (quiet.size() < kQuietAPiece) return false;
  }
  return true;
}

Result<bool> JudgeLoop::reachable(db::Connection& reader, std::int64_t device_n, Millis least) {
  auto const seen = services_.store.last_contact(device_n);
  if (seen == SysTime{}) return false;
  auto row = reader.prepare(queries::kPollEvery);
  row.bind_all(device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return false;  // retired, revoked or deleted
  auto const every_s = row.maybe_int64(0).value_or(kPollEveryDefault_s);
  auto voice = clock_.voice(device_n);
  FLEET_TRY(voice.heard, last_heard(reader, clock_, device_n));
  auto const within = std::max<Millis>(seconds(2 * every_s), least);
  if (voice.gap > Millis{0}) return clock_.now() - voice.heard <= within;
  // Not heard since this process began: until it would have been, it may come.
  if (clock_.age() < within && services_.clock.wall() - seen <= kRemembered) return true;
  return services_.clock.wall() - seen <= std::max<Millis>(seconds(2 * every_s), least);
}

/// Whether a device within reach has still to return: from where one was found last, a bounded number of rows a look.
Result<void> JudgeLoop::count_to_return(db::Connection& reader, Watch& watch, Facts& facts) {
  auto const device_from = [&](std::int64_t after) -> Result<std::vector<std::int64_t>> {
    std::vector<std::int64_t> out;
    auto rows = reader.prepare(queries::kToReturn);
    rows.bind_all(watch.rollout.n, after, kReturnsALook, watch.rollout.keeps(Arm::against) ? to_string(Arm::against) : std::string_view());
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) return out;
      out.push_back(rows.int64(0));
    }
  };
  bool const from_start = watch.return_cursor == 0;
  FLEET_TRY(auto const devices, device_from(watch.return_cursor));
  for (auto const device : devices) {
    FLEET_TRY(bool const there, reachable(reader, device, kParked));
    if (!there) continue;
    watch.return_cursor = device - 1;
    facts.to_revert = 1;
    return {};
  }
  bool const end = devices.size() < static_cast<std::size_t>(kReturnsALook);
  watch.return_cursor = end ? 0 : devices.back();
  if (!end || !from_start) facts.to_revert = 1;  // not all were looked at in one go: the next look goes on
  return {};
}

/// Its time, and the rollout that it comes after.
Result<void> JudgeLoop::await_turn(db::Connection& reader, Rollout const& rollout, Standing& out) {
  if (rollout.policy.start_at && services_.clock.wall() < *rollout.policy.start_at) {
    out.waits_for = fmt::format("its time, {}", to_rfc3339(*rollout.policy.start_at));
    return {};
  }
  if (!rollout.after_n || rollout.progress.waived) return {};
  FLEET_TRY(auto const before, load_rollout(reader, *rollout.after_n));
  if (before.state == State::completed) return {};
  out.waits_for = fmt::format("rollout {}, which is {}", before.id, to_string(before.state));
  out.wait_ended = !is_live(before.state);
  return {};
}

Result<Standing> JudgeLoop::standing_of(db::Connection& reader, Watch const& watch) {
  auto const& rollout = watch.rollout;
  Standing out;
  out.state = rollout.state;
  out.stage = std::max(rollout.stage, 1);
  out.full = rollout.full;
  out.latches = rollout.latches;
  out.release_revoked = rollout.release_state == "revoked";
  out.against_revoked = rollout.against && rollout.against->state == "revoked";
  out.cause = reason_of(rollout.verdict);
  out.restored = rollout.restored == Restored::held;
  FLEET_TRY(out.approvals, count_approvals(reader, rollout.n, rollout.policy.approvals_before_stage));
  if (auto const until = rollout.policy.frozen_until(services_.clock.wall())) out.frozen = to_rfc3339(*until);
  out.begun = !rollout.waits_to_begin() && !watch.nobody;
  if (rollout.waits_to_begin()) FLEET_CHECK(await_turn(reader, rollout, out));  // a person may have had it go on all the same
  if (watch.nobody && out.waits_for.empty()) out.waits_for = kSomebody;
  return out;
}

Result<void> JudgeLoop::write(Watch& watch, Stepped const& stepped, Facts const& facts) {
  auto const& judged = watch.rollout;
  auto const& verdict = stepped.verdict;
  auto const now = services_.clock.wall();
  auto const service = clock_.now();
  if (verdict.look_at) watch.due = std::min(watch.due, services_.clock.mono() + std::max(Millis{1}, *verdict.look_at - service));
  auto const text = updated_verdict(judged.verdict, verdict, facts, now);
  if (!verdict.event && !verdict.begin && stepped.progress == judged.progress && text == judged.verdict && verdict.latches == judged.latches) return {};
  events::Deed const deed{now, "system:judge", verdict.reason, ""};
  return write(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto rollout, load_rollout(tx.connection(), judged.n));
    if (rollout.revision != judged.revision) return {};  // a person acted meanwhile: judged again at the next round
    if (verdict.closed_window) {  // who started in it since it was read would count in no window
      FLEET_TRY(auto const known, read_counts(tx.connection(), judged));
      watch.fresh = true;
      if (known.window != facts.window) return {};
    }
    rollout.verdict = text;
    rollout.latches = verdict.latches;
    rollout.progress = stepped.progress;
    if (verdict.event || now >= watch.next_point) {
      FLEET_CHECK(add_point(tx, rollout, verdict, facts, now));
      watch.next_point = now + point_spacing(now - rollout.started_at.value_or(now));
    }
    if (verdict.begin) enter_stage(rollout, 1, now);
    if (verdict.event == Event::widen) enter_stage(rollout, rollout.stage + 1, now);
    show_times(rollout, {now, service});
    if (verdict.entered || verdict.start_bake)
      FLEET_CHECK(events::emit(tx, now, "rollout.stage", "rollout/" + rollout.id, deed.actor,
                               fmt::format(R"({{"stage":{},"state":"{}","window":{}}})", rollout.stage, rollout.baking ? "baking" : "dispatching", rollout.progress.window)));
    if (verdict.told_anew || verdict.begin) tx.raise_policy_epoch();
    FLEET_TRY(auto const snapshot, snapshot_());
    if (auto const view = snapshot->by_n.find(rollout.n); view != snapshot->by_n.end())
      view->second->window_now->store(rollout.progress.current(), std::memory_order_relaxed);  // now: the next job of this group is after this one
    if (verdict.event) return transition(tx, rollout, *verdict.event, deed);
    FLEET_CHECK(save_rollout(tx, rollout));
    watch.rollout = std::move(rollout);
    watch.fresh = true;  // what a window shut by this look came to is for the next
    return {};
  });
}

}  // namespace fleet::rollout
