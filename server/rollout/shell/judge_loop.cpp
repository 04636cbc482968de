#include "server/rollout/shell/judge_loop.hpp"

#include "core/base/log.hpp"
#include "server/events/audit.hpp"
#include "server/registry/device_facts.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/series.hpp"
#include "server/rollout/shell/settle.hpp"
#include "server/rollout/gates/verdict_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace fleet::rollout {
namespace {

constexpr Millis kEvery{250};
constexpr Millis kTimers{1'000};
constexpr Millis kRescan = std::chrono::minutes(1);
/// After a stage starts, parked polls wake and join within this, and a millisecond more for each member; until then nobody counts as out of reach.
constexpr Millis kSettle = seconds(2);
/// A parked poll is quiet that long, and yet its device will take the way back at once.
constexpr Millis kParked = seconds(75);
constexpr std::int64_t kPollEveryDefault_s = 60;
/// A round's cost in time is paid back by so many times its length before the next.
constexpr int kRestFactor = 10;
/// Of the devices that a stage waits for, so many are named.
constexpr std::size_t kNamed = 3;
constexpr int kPiecesARound = 20;

}  // namespace

struct JudgeLoop::Gathered {
  Facts facts;
  std::vector<std::int64_t> told;  ///< devices with a row that counts, ascending
  std::vector<Due> quiet;
};

JudgeLoop::JudgeLoop(Services& services, GetSnapshot snapshot) : services_(services), snapshot_(std::move(snapshot)) {}

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
    if (auto const judged = round(); !judged) log::error("judge.failed", {{"code", judged.error().code}, {"detail", judged.error().detail}});
    lock.lock();
    wake_.wait_for(lock, kEvery, [this] { return stopping_; });
  }
}

/// Rows of rollouts that were stopped or taken back; a bounded number of pieces a round.
Result<void> JudgeLoop::settle() {
  for (int i = 0; i < kPiecesARound; ++i) {
    FLEET_TRY(bool const more, settle_more(services_.store, services_.clock.wall()));
    if (!more) return {};
  }
  return {};
}

Result<int> JudgeLoop::round() {
  FLEET_CHECK(settle());
  std::set<std::int64_t> changed;
  {
    std::lock_guard const lock(mutex_);
    changed.swap(changed_);
  }
  auto& reader = services_.store.reader();
  std::vector<Rollout> rollouts;
  {
    auto rows = reader.prepare(queries::kJudgedRollouts);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      FLEET_TRY(auto rollout, read_rollout(rows));
      rollouts.push_back(std::move(rollout));
    }
  }
  int judged = 0;
  for (auto const& rollout : rollouts) {
    auto& watch = watches_[rollout.n];
    auto const now = services_.clock.wall();
    bool const moved = changed.contains(rollout.n) || watch.revision != rollout.revision || now >= watch.due;
    if (!moved) continue;
    if (now < watch.not_before) {
      this->changed(rollout.n);
      continue;
    }
    auto const began = services_.clock.mono();
    watch.due = now + kTimers;
    if (auto const done = judge_one(reader, rollout, watch); !done)
      log::error("judge.rollout_failed", {{"rollout", rollout.id}, {"code", done.error().code}, {"detail", done.error().detail}});
    watch.not_before = services_.clock.wall() + kRestFactor * (services_.clock.mono() - began);
    ++judged;
  }
  std::erase_if(watches_,
                [&](auto const& entry) { return std::none_of(rollouts.begin(), rollouts.end(), [&](Rollout const& r) { return r.n == entry.first; }); });
  return judged;
}

Result<void> JudgeLoop::judge_one(db::Connection& reader, Rollout const& rollout, Watch& watch) {
  auto const now = services_.clock.wall();
  FLEET_TRY(auto gathered, gather(reader, rollout, now));
  if (!gathered.quiet.empty()) {
    FLEET_CHECK(mark_silent(rollout, gathered, now));
    FLEET_TRY(gathered, gather(reader, rollout, now));
  }
  FLEET_TRY(auto const standing, standing_of(reader, rollout));
  bool const joining = rollout.state == State::running && !rollout.baking && standing.begun;
  if (joining && gathered.facts.undecided == 0) FLEET_CHECK(look_at_members(reader, rollout, watch, gathered, now));
  gathered.facts.offline = watch.offline;
  gathered.facts.blocked = watch.blocked;
  gathered.facts.blocked_by = watch.blocked_by;
  FLEET_TRY(auto const snapshot, snapshot_());
  if (auto const view = snapshot->by_n.find(rollout.n); view != snapshot->by_n.end())
    view->second->at_work->store(gathered.facts.at_work, std::memory_order_relaxed);
  auto const verdict = judge(rollout.policy, standing, gathered.facts, now);
  watch.revision = rollout.revision;
  if (rollout.state == State::running && (rollout.baking || verdict.start_bake)) {
    auto const baked = rollout.bake_since.value_or(now) + rollout.policy.stage(rollout.stage).bake;
    if (baked > now) watch.due = std::min(watch.due, baked);
  }
  return write(rollout, verdict, gathered.facts, now, watch);
}

/// One pass over the rollout's rows, with the samples of each gate beside them (all in the order of the devices).
Result<JudgeLoop::Gathered> JudgeLoop::gather(db::Connection& reader, Rollout const& rollout, SysTime now) {
  std::vector<std::map<std::int64_t, Samples>> samples;
  for (auto const& gate : rollout.policy.absolute) {
    auto& of_gate = samples.emplace_back();
    auto rows = reader.prepare(queries::kSamples);
    rows.bind_all(rollout.n, gate.metric);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      of_gate.emplace_hint(of_gate.end(), rows.int64(0), Samples{rows.int64(1), rows.real(2)});
    }
  }
  Gathered out;
  Fold fold(rollout.policy, rollout.bake_since);
  std::vector<std::int64_t> to_return;
  std::vector<std::pair<std::int64_t, std::string>> busy;
  {
    auto rows = reader.prepare(queries::kEvidence);
    rows.bind_all(rollout.n);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      auto const device = rows.int64(0);
      DeviceEvidence evidence{rows.text_view(1), rows.int64(2) != 0, rows.int64(3) != 0, from_unix_ms(rows.int64(4)), {}, !rows.is_null(8) && rows.text_view(8) == rollout.version,
                              rows.is_null(9) ? std::string() : read_device_error(rows.text_view(9)).code};
      bool const fails = evidence.state == device_state::kFailed;
      if (rollout.state == State::rolling_back && evidence.exposed && evidence.state != device_state::kReverted) to_return.push_back(device);
      if (fails && rows.int64(7) < rollout.attempt && rollout.state == State::running) continue;  // it will be told again
      out.told.push_back(device);
      if (device_state::is_undecided(evidence.state) && rows.int64(6) <= to_unix_ms(now))
        out.quiet.push_back({device, evidence.state == device_state::kWaiting, from_unix_ms(rows.int64(5))});
      if (device_state::is_undecided(evidence.state) && busy.size() < kNamed) busy.emplace_back(device, evidence.state);
      for (auto const& of_gate : samples) {
        auto const found = of_gate.find(device);
        evidence.samples.push_back(found == of_gate.end() ? Samples{} : found->second);
      }
      fold.add(evidence);
    }
  }
  out.facts = std::move(fold.facts);
  for (auto const& [device, state] : busy) {
    FLEET_TRY(auto const facts, registry::load_device_facts(reader, device));
    out.facts.busy.push_back(fmt::format("{} ({})", facts.id, state));
  }
  for (auto const device : to_return) {
    FLEET_TRY(bool const there, reachable(reader, device, now, kParked));
    out.facts.to_revert += there;
  }
  return out;
}

/// Rows whose time came: silent when nothing was heard for the window, or nothing came of it in all the time it may take; otherwise looked at later.
Result<void> JudgeLoop::mark_silent(Rollout const& rollout, Gathered const& gathered, SysTime now) {
  FLEET_TRY(auto const snapshot, snapshot_());
  auto const view = snapshot->by_n.find(rollout.n);
  auto const limit = view == snapshot->by_n.end() ? Millis{0} : view->second->attempt_limit;
  for (std::size_t begin = 0; begin < gathered.quiet.size(); begin += kRowsAPiece) {
    auto const piece = std::span(gathered.quiet).subspan(begin, std::min<std::size_t>(kRowsAPiece, gathered.quiet.size() - begin));
    auto const mark = [&](store::Tx& tx) -> Result<void> {
      for (auto const& due : piece) FLEET_CHECK(mark_one(tx, rollout, due, limit, now));
      return {};
    };
    FLEET_CHECK(services_.store.write_wait(store::Lane::verbs, mark));
  }
  return {};
}

Result<void> JudgeLoop::mark_one(store::Tx& tx, Rollout const& rollout, Due due, Millis limit, SysTime now) {
  if (!due.waiting) {  // a download that waits for its window, too, told the reason by its polls
    auto told = tx.prepare(queries::kWaitsFor);
    told.bind_all(due.device, rollout.model);
    FLEET_TRY(bool const found, told.step());
    due.waiting = found && !told.is_null(0);
  }
  FLEET_TRY(auto const window, silence_window(tx.connection(), due.device, rollout.policy));
  auto const heard_until = services_.store.last_contact(due.device) + window;
  auto const result_until = due.since + limit + window;
  bool const silent = heard_until <= now || (!due.waiting && result_until <= now);
  auto row = tx.prepare(silent ? queries::kSetRowState : queries::kSetSilentAt);
  if (silent) row.bind_all(device_state::kSilent, device_state::kSilent, to_unix_ms(now), rollout.n, due.device);
  else row.bind_all(to_unix_ms(due.waiting ? heard_until : std::min(heard_until, result_until)), rollout.n, due.device);
  return row.run();
}

Result<bool> JudgeLoop::reachable(db::Connection& reader, std::int64_t device_n, SysTime now, Millis least) {
  auto const seen = services_.store.last_contact(device_n);
  if (seen == SysTime{}) return false;
  auto row = reader.prepare(queries::kPollEvery);
  row.bind_all(device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return false;  // retired, revoked or deleted
  auto const every_s = row.maybe_int64(0).value_or(kPollEveryDefault_s);
  return now - seen <= std::max<Millis>(seconds(2 * every_s), least);
}

/// Members of the stage that were not told yet: within reach and about to join, held by another rollout, or offline.
Result<void> JudgeLoop::look_at_members(db::Connection& reader, Rollout const& rollout, Watch& watch, Gathered& gathered, SysTime now) {
  FLEET_TRY(auto const snapshot, snapshot_());
  auto const found = snapshot->by_n.find(rollout.n);
  if (found == snapshot->by_n.end() || found->second->rollout.stage != rollout.stage) {
    gathered.facts.undispatched = 1;  // the snapshot is older than the stage: look again at the next round
    return {};
  }
  auto const& view = *found->second;
  if (watch.members_stage != rollout.stage || watch.members_attempt != rollout.attempt || now >= watch.members_until) {
    watch.members.clear();
    auto const take = [&](registry::DeviceFacts const& device) -> Result<void> {
      auto const stratum = stratum_of(rollout.policy.strata, device.hardware, device.labels);
      if (view.has_variant(device.hardware) && view.in_stage(rollout.stage, stratum, place(rollout.salt, device.id))) watch.members.push_back(device.n);
      return {};
    };
    FLEET_CHECK(registry::scan_selected(reader, view.selector, take));
    watch.members_stage = rollout.stage;
    watch.members_attempt = rollout.attempt;
    watch.members_until = now + kRescan;
  }
  std::int64_t offline = 0, blocked = 0;
  std::set<std::string> blocked_by;
  bool const settling = now < rollout.stage_since.value_or(now) + kSettle + Millis(static_cast<std::int64_t>(watch.members.size()));
  for (auto const device_n : watch.members) {
    if (std::binary_search(gathered.told.begin(), gathered.told.end(), device_n)) continue;
    FLEET_TRY(bool const there, reachable(reader, device_n, now, Millis{0}));
    if (!there && !settling) {
      ++offline;
      continue;
    }
    FLEET_TRY(auto const device, registry::load_device_facts(reader, device_n));
    FLEET_TRY(auto const rows, read_device_rows(reader, device_n));
    auto const decided = decide_model(*snapshot, rollout.model, device, rows, now);
    if (decided.desired.joins && decided.desired.rollout_n == rollout.n) {
      gathered.facts.undispatched = 1;  // one is enough to wait for; the rest is looked at when none is left
      break;
    }
    ++blocked;
    if (!decided.holder.empty() && decided.holder != rollout.id && blocked_by.size() < kNamed) blocked_by.insert(decided.holder);
  }
  if (gathered.facts.undispatched == 0) {
    watch.offline = offline;
    watch.blocked = blocked;
    watch.blocked_by = std::move(blocked_by);
  }
  return {};
}

Result<Standing> JudgeLoop::standing_of(db::Connection& reader, Rollout const& rollout) {
  Standing out;
  out.state = rollout.state;
  out.stage = std::max(rollout.stage, 1);
  out.full = rollout.full;
  out.bake_since = rollout.bake_since;
  out.deadline = rollout.deadline;
  out.latches = rollout.latches;
  out.release_revoked = rollout.release_state == "revoked";
  out.cause = reason_of(rollout.verdict);
  out.restored = rollout.restored == Restored::held;
  FLEET_TRY(out.approvals, count_approvals(reader, rollout.n, rollout.policy.approvals_before_stage));
  out.begun = !rollout.waits_for_predecessor();
  if (out.begun) return out;
  FLEET_TRY(auto const before, load_rollout(reader, *rollout.after_n));
  if (before.state == State::completed) return out;
  out.predecessor = fmt::format("{}, which is {}", before.id, to_string(before.state));
  out.predecessor_ended = !is_live(before.state);
  return out;
}

Result<void> JudgeLoop::write(Rollout const& judged, Verdict const& verdict, Facts const& facts, SysTime now, Watch& watch) {
  auto const text = updated_verdict(judged.verdict, verdict, facts, now);
  if (!verdict.event && !verdict.begin && !verdict.start_bake && text == judged.verdict && verdict.latches == judged.latches) return {};
  events::Deed const deed{now, "system:judge", verdict.reason};
  return services_.store.write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto rollout, load_rollout(tx.connection(), judged.n));
    if (rollout.revision != judged.revision) return {};  // a person acted meanwhile: judged again at the next round
    rollout.verdict = text;
    rollout.latches = verdict.latches;
    if (verdict.event || now >= watch.next_point) {
      FLEET_CHECK(add_point(tx, rollout, verdict, facts, now));
      watch.next_point = now + point_spacing(now - rollout.started_at.value_or(now));
    }
    if (verdict.begin) {
      enter_stage(rollout, 1, now);
      tx.raise_policy_epoch();
      FLEET_CHECK(events::emit(tx, now, "rollout.stage", "rollout/" + rollout.id, deed.actor, R"({"stage":1,"state":"dispatching"})"));
    }
    if (verdict.start_bake) {
      rollout.baking = true;
      rollout.bake_since = now;
      auto const data = fmt::format(R"({{"stage":{},"state":"baking"}})", rollout.stage);
      FLEET_CHECK(events::emit(tx, now, "rollout.stage", "rollout/" + rollout.id, deed.actor, data));
    }
    if (verdict.event == Event::widen) enter_stage(rollout, rollout.stage + 1, now);
    if (verdict.event) return transition(tx, rollout, *verdict.event, deed);
    FLEET_CHECK(save_rollout(tx, rollout));
    watch.revision = rollout.revision;
    return {};
  });
}

}  // namespace fleet::rollout
