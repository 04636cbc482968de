#include "server/rollout/shell/verbs.hpp"

#include "server/events/audit.hpp"
#include "server/registry/groups.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/replan.hpp"
#include "server/rollout/engine/verdict_json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace {

/// "paused by token:ops: support calls".
std::string done_by(std::string_view done, events::Deed const& deed) { return fmt::format("{} by {}{}{}", done, deed.actor, deed.reason.empty() ? "" : ": ", deed.reason); }

/// A person's deed joins the history that `explain` shows, and is the reason that lists show.
void note_deed(Rollout& rollout, std::string_view verb, std::string_view done, events::Deed const& deed) {
  rollout.verdict = noted(rollout.verdict, verb, done_by(done, deed), deed.at);
}

/// What is known by now is accepted: evidence of windows begins anew, and of metrics only further bad devices count.
void accept_harm(Rollout& rollout) {
  if (rollout.latches.empty() && rollout.progress.quarantined.empty()) return;  // a pause alone takes nothing away from what was shown
  rollout.progress = accept(std::move(rollout.progress));
  std::erase_if(rollout.latches, [&](auto const& entry) {
    auto const of_metric = [&](AbsoluteGate const& gate) { return gate.metric == entry.first && gate.metric != kInstallFailure; };
    return std::none_of(rollout.policy.absolute.begin(), rollout.policy.absolute.end(), of_metric);
  });
  for (auto& [gate, latch] : rollout.latches) latch.accepted = true;
}

/// Does the alias's move pass one that the same alias started? Its way back is told before what is live, whatever that is.
bool passes_way_back(Rollout const& rollout, Rollout const& other) {
  return rollout.follows && other.follows == rollout.follows && other.model == rollout.model && other.state == State::rolling_back;
}

/// No live rollout of what it moves may cover the same devices, but those this one follows or replaces.
Result<void> check_overlap(db::Connection& reader, Rollout const& rollout, events::Deed const& deed) {
  FLEET_TRY(auto const conflicts, find_conflicts(reader, rollout.model, rollout.version, rollout.selector, rollout.id));
  for (auto const& conflict : conflicts) {
    FLEET_TRY(auto const other, load_rollout(reader, conflict.rollout));
    if (rollout.after_n == other.n || rollout.supersedes_n == other.n || passes_way_back(rollout, other)) continue;
    if (!deed.model.empty() && other.model != deed.model) return unnamed_overlap(conflict);
    if (other.model != rollout.model)
      return Error{Kind::conflict, "rollout_overlaps",
                   fmt::format("rollout {} of {}@{} is {}, moves models that this one moves, and may cover the same devices", other.id, other.model, other.version, conflict.state),
                   "wait for it to end, or end it: fleetctl rollout abort " + other.id};
    return Error{Kind::conflict, "rollout_overlaps",
                 fmt::format("rollout {} of {}@{} is {} and may cover the same devices (its selector: '{}')", other.id, other.model, other.version,
                             conflict.state, other.selector),
                 fmt::format("wait for it, or name it: --after {} or --supersede {}", other.id, other.id)};
  }
  return {};
}

Result<std::int64_t> approvals_missing(db::Connection& reader, Rollout const& rollout, int stage) {
  auto const& policy = rollout.policy;
  if (policy.approvals_required == 0 || policy.approvals_before_stage != stage) return 0;
  FLEET_TRY(auto const have, count_approvals(reader, rollout.n, stage));
  return std::max<std::int64_t>(0, policy.approvals_required - have);
}

Result<void> replace_superseded(store::Tx& tx, Rollout const& rollout, events::Deed const& deed) {
  if (!rollout.supersedes_n) return {};
  FLEET_TRY(auto old, load_rollout(tx.connection(), *rollout.supersedes_n));
  if (!next_state(old.state, Event::abort)) return {};  // ended, or on its way back: nothing to stop
  auto why = deed;
  why.reason = fmt::format("superseded by {}", rollout.id);
  note_deed(old, "abort", "aborted", why);
  return transition(tx, old, Event::abort, why);
}

Result<void> check_predecessor(db::Connection& reader, Rollout const& rollout) {
  if (!rollout.after_n) return {};
  FLEET_TRY(auto const before, load_rollout(reader, *rollout.after_n));
  if (before.started_at || before.state == State::aborted) return {};
  return Error{Kind::conflict, "predecessor_not_started", fmt::format("rollout {} comes after {}, which was not started", rollout.id, before.id),
               fmt::format("fleetctl rollout start {}", before.id)};
}

/// The first stage begins; of a rollout that comes after another when that one has completed, of one that has a time then.
Result<void> begin_first_stage(db::Connection& reader, Rollout& rollout, SysTime now) {
  enter_stage(rollout, 1, now);
  rollout.progress = {};
  if (rollout.policy.start_at && now < *rollout.policy.start_at) await_beginning(rollout);
  FLEET_TRY(bool const old, plan_is_old(reader, rollout, now));
  FLEET_TRY(auto const ladder, load_ladder(reader, rollout));
  if (old || ladder.is_of_nobody()) await_beginning(rollout);  // the judge plans anew, and begins
  if (!rollout.after_n) return {};
  FLEET_TRY(auto const before, load_rollout(reader, *rollout.after_n));
  if (before.state != State::completed) await_beginning(rollout);
  return {};
}

Result<void> start_loaded(store::Tx& tx, Rollout& rollout, events::Deed const& deed) {
  if (rollout.release_state != "approved")
    return Error{Kind::conflict, "release_not_approved", fmt::format("release {}@{} is {}", rollout.model, rollout.version, rollout.release_state),
                 fmt::format("fleetctl release approve {}@{}", rollout.model, rollout.version)};
  if (rollout.against && rollout.against->state != "approved")
    return Error{Kind::conflict, "release_not_approved", fmt::format("release {}, which is tested against, is {}", rollout.policy.ab->against, rollout.against->state),
                 fmt::format("fleetctl release approve {}", rollout.policy.ab->against)};
  FLEET_CHECK(check_overlap(tx.connection(), rollout, deed));
  FLEET_CHECK(check_predecessor(tx.connection(), rollout));
  note_deed(rollout, "start", "started", deed);
  FLEET_TRY(auto const missing, approvals_missing(tx.connection(), rollout, 1));
  if (missing > 0) return transition(tx, rollout, Event::ask_approval, deed);
  FLEET_CHECK(replace_superseded(tx, rollout, deed));
  FLEET_CHECK(begin_first_stage(tx.connection(), rollout, deed.at));
  return transition(tx, rollout, Event::start, deed);
}

/// What a backup says of a rollout that is not paused counts again.
Result<void> believe_restored(store::Tx& tx, Rollout& rollout, events::Deed const& deed) {
  rollout.restored = Restored::resumed;
  rollout.verdict = with_history(rollout.verdict, "resume", done_by("resumed after a restore", deed), deed.at);
  FLEET_CHECK(save_rollout(tx, rollout));
  tx.raise_policy_epoch();
  return events::record(tx, deed, "rollout.resumed", "rollout/" + rollout.id, "", R"({"restored":true})");
}

/// The stage's deadline runs anew. A rollout that waits for another is to begin, unless that one still goes on: the judge has it planned over the fleet of now.
Result<void> go_on(db::Connection& reader, Rollout& rollout, SysTime now) {
  if (!rollout.waits_to_begin()) {
    rollout.progress.stage_since.reset();  // the next step begins it anew
    auto const limit = rollout.policy.stage(rollout.stage).deadline;
    if (limit > Millis{0}) rollout.deadline = now + limit;
    return {};
  }
  if (!rollout.after_n) return {};
  FLEET_TRY(auto const before, load_rollout(reader, *rollout.after_n));
  rollout.progress.waived = !is_live(before.state);
  return {};
}

/// Loads, and answers the rollout unchanged where the verb holds already.
struct Loaded {
  Rollout rollout;
  bool holds = false;
};
Result<Loaded> load_for(store::Tx& tx, std::string_view id, std::initializer_list<State> holding) {
  FLEET_TRY(auto rollout, load_rollout(tx.connection(), id));
  bool const holds = std::find(holding.begin(), holding.end(), rollout.state) != holding.end();
  return Loaded{std::move(rollout), holds};
}

Result<std::optional<std::int64_t>> number_of(db::Connection& reader, std::string const& id, std::string const& model) {
  if (id.empty()) return std::optional<std::int64_t>{};
  FLEET_TRY(auto const rollout, load_rollout(reader, id));
  if (rollout.model == model) return std::optional<std::int64_t>{rollout.n};
  return Error{Kind::bad_input, "other_model", fmt::format("rollout {} is of model {}, not {}", id, rollout.model, model)};
}

/// Nothing where `what` may be done now.
std::optional<Error> no_promotion(Rollout const& rollout, Promotion const& what) {
  if (rollout.state == State::paused) {
    auto error = wrong_state(rollout, "promote");
    error.hint = fmt::format("promoting does not resume: fleetctl rollout resume {}, then promote", rollout.id);
    return error;
  }
  if (!next_state(rollout.state, Event::widen)) return wrong_state(rollout, "promote");
  if (rollout.against)
    return Error{Kind::conflict, "is_a_test", fmt::format("rollout {} is a test: it has no stage to promote", rollout.id),
                 fmt::format("fleetctl rollout abort {} ends it without a winner, and devices keep what they have", rollout.id)};
  if (!what.full && what.stage > rollout.stage)
    return Error{Kind::conflict, "wrong_stage", fmt::format("rollout {} is in stage {}, not in {}", rollout.id, rollout.stage, what.stage),
                 fmt::format("fleetctl rollout get {} shows where it stands", rollout.id)};
  if (!rollout.waits_to_begin()) return std::nullopt;
  return Error{Kind::conflict, "waits_for_predecessor", fmt::format("rollout {} waits for its time, for the one that it comes after, or for a device that it selects", rollout.id),
               fmt::format("fleetctl rollout explain {} says which", rollout.id)};
}

}  // namespace

Result<Rollout> create(store::Tx& tx, CreateRequest const& request, Plan const& plan, events::Deed const& deed) {
  auto const& want = request.plan;
  FLEET_TRY(auto const release, find_release(tx.connection(), want.model, want.version));
  FLEET_CHECK(registry::read_selector(tx.connection(), want.selector));  // a group may have gone since the plan
  if (plan.policy.emergency && deed.reason.empty())
    return Error{Kind::unprocessable, "reason_required", "an emergency rollout skips bake and evidence: it needs a reason", "--reason TEXT", {{"/reason", "is required with emergency: true"}}};
  if (release.state == "revoked") return Error{Kind::conflict, "release_revoked", fmt::format("release {}@{} was revoked", want.model, want.version), "of a set: a release of a member was; fleetctl set get shows them"};
  FLEET_TRY(auto const against, find_against(tx.connection(), want.model, want.version, plan.policy));
  FLEET_TRY(auto const after_n, number_of(tx.connection(), request.after, want.model));
  FLEET_TRY(auto const supersedes_n, number_of(tx.connection(), request.supersede, want.model));
  {
    auto row = tx.prepare(queries::kInsertRollout);
    row.bind_all(request.id, want.model, release.n, want.version, want.selector, encode(plan.policy), want.salt, after_n, supersedes_n,
                 first_verdict(plan.ineligible), deed.reason, deed.actor, to_unix_ms(deed.at), want.policy.preset,
                 db::text_or_null(request.follows), against ? std::optional(against->n) : std::nullopt);
    FLEET_CHECK(row.run());
  }
  FLEET_TRY(auto rollout, load_rollout(tx.connection(), request.id));
  FLEET_CHECK(put_ladder(tx, rollout.n, plan.ladder, plan.fleet));
  FLEET_CHECK(check_overlap(tx.connection(), rollout, deed));
  auto const after = fmt::format(R"({{"model":"{}","version":"{}","targeted":{}}})", rollout.model, rollout.version, plan.targeted);
  FLEET_CHECK(events::record(tx, deed, "rollout.created", "rollout/" + rollout.id, "", after));
  if (plan.policy.emergency) FLEET_CHECK(events::record(tx, deed, "rollout.emergency", "rollout/" + rollout.id, "", R"({"skips":["bake","evidence"]})"));
  if (request.start) FLEET_CHECK(start_loaded(tx, rollout, deed));
  return rollout;
}

Result<Rollout> start(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  FLEET_TRY(auto loaded, load_for(tx, id, {State::awaiting_approval, State::running, State::paused, State::completed}));
  auto& rollout = loaded.rollout;
  if (loaded.holds) return rollout;
  if (rollout.state != State::draft) return wrong_state(rollout, "start");
  FLEET_CHECK(start_loaded(tx, rollout, deed));
  return rollout;
}

Result<Rollout> approve(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  FLEET_TRY(auto rollout, load_rollout(tx.connection(), id));
  auto const stage = rollout.policy.approvals_before_stage;
  if (rollout.policy.approvals_required == 0)
    return Error{Kind::conflict, "no_approval_needed", fmt::format("the policy of rollout {} asks for no approval", rollout.id),
                 "approvals: {required: 1, before_stage: 2}"};
  if (rollout.stage >= stage) return rollout;  // it was approved
  if (deed.actor == rollout.created_by && rollout.policy.approvals_required > 0)
    return Error{Kind::forbidden, "own_rollout", fmt::format("{} made rollout {}: somebody else approves it", deed.actor, rollout.id), "another person or token with the role approver"};
  if (rollout.state == State::aborted || rollout.state == State::rolling_back || rollout.state == State::rolled_back) return wrong_state(rollout, "approve");
  auto row = tx.prepare(queries::kApprove);
  row.bind_all(rollout.n, stage, deed.actor, deed.reason, to_unix_ms(deed.at));
  FLEET_TRY(auto const approved, row.affected());
  if (approved == 0) return rollout;
  note_deed(rollout, "approve", "approved", deed);
  FLEET_TRY(auto const missing, approvals_missing(tx.connection(), rollout, stage));
  if (missing > 0 || rollout.state != State::awaiting_approval) {
    FLEET_CHECK(save_rollout(tx, rollout));
    FLEET_CHECK(events::record(tx, deed, "rollout.approval", "rollout/" + rollout.id, "",
                                   fmt::format(R"({{"stage":{},"missing":{}}})", stage, missing)));
    return rollout;
  }
  if (rollout.stage == 0) {
    FLEET_CHECK(check_overlap(tx.connection(), rollout, deed));
    FLEET_CHECK(replace_superseded(tx, rollout, deed));
    FLEET_CHECK(begin_first_stage(tx.connection(), rollout, deed.at));
  } else {
    enter_stage(rollout, rollout.full ? rollout.policy.stage_count() : stage, deed.at);
  }
  FLEET_CHECK(transition(tx, rollout, Event::approved, deed));
  return rollout;
}

Result<Rollout> pause(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  FLEET_TRY(auto loaded, load_for(tx, id, {State::paused}));
  if (loaded.holds) return loaded.rollout;
  if (!next_state(loaded.rollout.state, Event::pause)) return wrong_state(loaded.rollout, "pause");
  note_deed(loaded.rollout, "pause", "paused", deed);
  FLEET_CHECK(transition(tx, loaded.rollout, Event::pause, deed));
  return loaded.rollout;
}

Result<Rollout> resume(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  FLEET_TRY(auto loaded, load_for(tx, id, {State::running}));
  auto& rollout = loaded.rollout;
  if (loaded.holds) return rollout;
  if (rollout.restored == Restored::held && rollout.state != State::paused) {
    FLEET_CHECK(believe_restored(tx, rollout, deed));
    return rollout;
  }
  if (!next_state(rollout.state, Event::resume)) return wrong_state(rollout, "resume");
  note_deed(rollout, "resume", "resumed", deed);
  accept_harm(rollout);
  FLEET_CHECK(go_on(tx.connection(), rollout, deed.at));
  FLEET_CHECK(transition(tx, rollout, Event::resume, deed));
  return rollout;
}

Result<Rollout> promote(store::Tx& tx, std::string_view id, Promotion const& what, events::Deed const& deed) {
  FLEET_TRY(auto loaded, load_for(tx, id, {State::completed, State::awaiting_approval}));
  auto& rollout = loaded.rollout;
  auto const last = rollout.policy.stage_count();
  bool const passed = what.full ? rollout.full : rollout.stage > what.stage;
  if (is_live(rollout.state) && rollout.state != State::rolling_back && passed) return rollout;  // a repeat
  if (loaded.holds && (what.full || what.stage <= rollout.stage)) return rollout;
  if (auto refused = no_promotion(rollout, what)) return *std::move(refused);
  auto const to = what.full ? last : rollout.stage + 1;
  rollout.full = rollout.full || what.full;  // an approval in between does not take it back
  note_deed(rollout, what.full ? "promote --full" : "promote", what.full ? "promoted to all" : fmt::format("stage {} promoted", rollout.stage), deed);
  if (to > last) {
    FLEET_CHECK(transition(tx, rollout, Event::complete, deed));
    return rollout;
  }
  auto const gate = rollout.policy.approvals_before_stage;
  FLEET_TRY(auto const missing, approvals_missing(tx.connection(), rollout, gate));
  if (rollout.stage < gate && gate <= to && missing > 0) {
    FLEET_CHECK(transition(tx, rollout, Event::ask_approval, deed));
    return rollout;
  }
  enter_stage(rollout, to, deed.at);
  FLEET_CHECK(transition(tx, rollout, Event::widen, deed));
  return rollout;
}

Result<Rollout> abort(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  FLEET_TRY(auto loaded, load_for(tx, id, {State::aborted}));
  if (loaded.holds) return loaded.rollout;
  if (!next_state(loaded.rollout.state, Event::abort)) return wrong_state(loaded.rollout, "abort");
  note_deed(loaded.rollout, "abort", "aborted", deed);
  FLEET_CHECK(transition(tx, loaded.rollout, Event::abort, deed));
  return loaded.rollout;
}

Result<Rollout> rollback(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  FLEET_TRY(auto loaded, load_for(tx, id, {State::rolling_back, State::rolled_back}));
  if (loaded.holds) return loaded.rollout;
  if (!next_state(loaded.rollout.state, Event::roll_back)) return wrong_state(loaded.rollout, "rollback");
  if (!loaded.rollout.started_at) return wrong_state(loaded.rollout, "rollback of a rollout that never started");
  note_deed(loaded.rollout, "rollback", "rolled back", deed);
  FLEET_CHECK(transition(tx, loaded.rollout, Event::roll_back, deed));
  return loaded.rollout;
}

}  // namespace fleet::rollout
