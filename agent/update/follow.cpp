#include "agent/proof/own_reason.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kOrderAgain{5'000};

bool is_refused(ModelState const& state, std::string const& digest, std::string const& rollout, std::int64_t attempt) {
  return std::any_of(state.refusals.begin(), state.refusals.end(),
                     [&](Refusal const& one) { return one.digest == digest && one.rollout == rollout && attempt <= one.attempt; });
}

/// The owner holds it; a higher attempt of what was held is the operator's word to take it again, another rollout of it is not.
bool is_held(ModelState const& state, std::string const& digest, std::string const& rollout) {
  return state.held == digest && std::none_of(state.refusals.begin(), state.refusals.end(),
                                              [&](Refusal const& one) { return one.digest == digest && one.rollout == rollout; });
}

}  // namespace

ModelUpdate::ModelUpdate(Shop& shop, std::string model)
    : shop_(shop), context_(shop.context), model_(std::move(model)), interrupt_(shop.wishes.interrupt(model_)), contact_seen_(shop.contact.total()) {
  if (!is_own()) return;
  auto const link = context_.slots.current(model_);
  own_link_ = link ? *link : context_.outside.own->slot;
}

void ModelUpdate::go() {
  next_look_.reset();
  if (!claim(state())) return;  // whoever has it wakes this one when it is done
  auto const wish = shop_.wishes.take(model_, context_.trusted.now());
  auto const* const target = wish.target ? &*wish.target : nullptr;
  may_act_ = wish.may_act;
  sequence_ = wish.sequence;
  revoked_ = wish.revoked;
  ordered_ = target != nullptr && target->action == wire::Action::revert ? digest_of(*target) : "";
  fill_memory();
  look_whether_broken();
  obey_all(wish.orders);
  // Once more when a turn has changed something: what came to rest may be asked for the next.
  for (bool again = true; again && !interrupt_.is_raised();) {
    auto const before = state();
    consider(target);
    work(target);
    auto const after = state();
    again = at_rest(after.state) && (after.state != before.state || after.target != before.target || after.rollout != before.rollout ||
                                     after.attempt != before.attempt);
  }
  if (at_rest(state().state)) lines_.reset();
  check_again();
  follow_power();
  if (auto const at = state().state; at != State::checking && at != State::downloading) shop_.bundles.done(model_, sequence_);
  if (fill_at_ && context_.slots.has_memory()) look_again_in(std::chrono::duration_cast<Millis>(std::max(*fill_at_, now()) - now()));
  give_claims();
  settle_own();
}

/// What the directive says now: drops what it no longer names before the switch, begins, goes back. What was switched goes on to its end also when no
/// directive names it any more.
void ModelUpdate::consider(Target const* target) {
  auto const before = state();
  if (before_switch(before.state) && (target == nullptr || !is_work_on(*target, before))) {
    if (auto const dropped = advance(before, Event::withdrawn); !dropped) return log_failed("withdraw", dropped.error());
    quiet_until_.reset();
  }
  if (target != nullptr) follow(*target);
  bool const returns = target != nullptr && (target->action == wire::Action::revert || target->action == wire::Action::remove);
  if (auto const after = state(); !returns && after.state != State::waiting && after.waiting == kUpdateLock) show_waiting(after, {});
  resume();
}

Keep ModelUpdate::kept_by_owner() const { return {context_.config.keep_versions, context_.config.keep_max_bytes}; }

void ModelUpdate::give_back(ModelState const& state, Keep const& keep) {
  auto const size_of = [&](std::string const& digest) {
    auto const size = context_.slots.size_of(state.model, digest);
    return size ? *size : 0;
  };
  auto kept = kept_versions(state, keep, size_of);
  // What was begun of something that is named again, by another rollout or at once after this, goes on from there.
  auto const told = shop_.wishes.told();
  for (auto const& target : told.targets) {
    auto const digest = digest_of(target);
    bool const brings = target.action != wire::Action::remove && target.action != wire::Action::prove;
    if (target.model != state.model || !brings || digest.empty()) continue;
    // A member is refused with its set.
    auto const of_set = std::find_if(told.targets.begin(), told.targets.end(), [&](Target const& one) { return one.model == target.set; });
    auto const& decides = target.set.empty() || of_set == told.targets.end() ? target : *of_set;
    auto const owner = decides.model == state.model ? state : context_.journal.state(decides.model);
    if (!is_refused(owner, digest_of(decides), decides.rollout, decides.attempt) && !is_held(owner, digest_of(decides), decides.rollout)) kept.insert(digest);
  }
  collect_installed(state.model, kept);
  auto done = context_.slots.collect(state.model, kept);
  if (done && !state.previous.none()) done = context_.slots.ready_way_back(state.model, state.previous.digest);
  if (!done) log_failed("give back what is kept", done.error());
}

void ModelUpdate::log_failed(std::string_view doing, Error const& error) const {
  log::warn("update.failed", {{"doing", doing}, {"model", model_}, {"code", error.code}, {"error", error.detail}});
}

void ModelUpdate::look_again_in(Millis time) {
  auto const at = now() + time;
  next_look_ = next_look_ ? std::min(*next_look_, at) : at;
}

ModelState ModelUpdate::state() const { return context_.journal.state(model_); }

void ModelUpdate::hear() {
  obey_all(shop_.wishes.take(model_, context_.trusted.now()).orders);
}

/// An order was accepted: what the disk does not take now is obeyed when it does.
void ModelUpdate::obey_all(std::vector<Order> const& orders) {
  for (auto const order : orders) {
    auto const obeyed = obey(order);
    if (obeyed) continue;
    log_failed(order == Order::consent ? "keep the consent" : order == Order::unhold ? "unhold" : "roll back", obeyed.error());
    if (own_reason(obeyed.error()).empty()) continue;
    shop_.wishes.again(model_, order);
    look_again_in(kOrderAgain);
  }
}

Result<void> ModelUpdate::obey(Order order) {
  auto state = this->state();
  if (order == Order::consent) {
    if (!before_switch(state.state)) return {};
    state.consented = Refusal{state.target.digest, state.rollout, state.attempt};
    log::info("update.consent", {{"model", model_}, {"version", state.target.version}, {"rollout", state.rollout}});
    FLEET_CHECK(context_.journal.save(state));
    show(state);
    return {};
  }
  if (order == Order::unhold) {
    std::erase_if(state.refusals, [&](Refusal const& one) { return one.digest == state.held; });
    state.held.clear();
    FLEET_CHECK(context_.journal.save(state));
    state.error = {std::string(wire::kUnheld), "the device's owner lets the held release be taken again", {}};
    report(state);  // so that the server directs it here again
    return {};
  }
  if (before_switch(state.state)) {
    FLEET_TRY(state, advance(std::move(state), Event::withdrawn));
  }
  state = settled(std::move(state));
  if (state.running.none() || !next_state(state.state, Event::ordered_back)) return {};
  if (!claim_members(state)) return Error{Kind::conflict, std::string(kMemberBusy), "a member is at work by itself"};
  quiet_until_.reset();
  state.held = state.running.digest;
  state.refusals.push_back({state.running.digest, state.rollout, state.attempt});
  wire::DeviceError const why{"rolled_back_by_owner", "the device's owner asked for the version before", {}};
  FLEET_CHECK(advance(std::move(state), Event::ordered_back, why));
  return {};
}

void ModelUpdate::follow(Target const& target) {
  switch (target.action) {
    case wire::Action::install: return follow_install(target);
    case wire::Action::revert:
    case wire::Action::remove: return follow_return(target);
    case wire::Action::prove: return follow_prove(target);
    case wire::Action::none: return;
    case wire::Action::unknown: log::warn("directive.unknown_action", {{"model", model_}}); return;
  }
}

void ModelUpdate::follow_install(Target const& target) {
  auto state = this->state();
  auto const digest = digest_of(target);
  if (digest.empty() || is_refused(state, digest, target.rollout, target.attempt) || is_held(state, digest, target.rollout)) return;
  // A set that is cut off between two members is switched first: it gives way whole.
  bool const proving = (state.state == State::switching && find_record(state, state.target.digest) == nullptr) || state.state == State::probation;
  // The agent's own program is proved first, which takes minutes: whoever starts it goes back by one step alone.
  if (proving && digest != state.target.digest && may_act_ && !is_own()) {
    give_way(std::move(state));
    state = this->state();
  }
  if (!at_rest(state.state)) return;
  if (state.running.digest == digest && !state.unproven) return adopt(target, std::move(state));
  if (state.running.digest != digest && may_act_) begin(target, std::move(state));
}

/// It runs already: said once for this rollout, nothing is done. Its name is the one that was verified, not the one a directive gives it.
void ModelUpdate::adopt(Target const& target, ModelState state) {
  if (state.rollout == target.rollout && state.attempt == target.attempt && state.state == State::committed) return;
  if (state.running.version.empty())
    if (auto const named = version_of_path(model_, target.path)) state.running.version = *named;
  state.target = state.running;
  state.rollout = target.rollout;
  state.attempt = target.attempt;
  state.error = {};
  if (auto const adopted = advance(std::move(state), Event::adopted); !adopted) log_failed("adopt", adopted.error());
}

void ModelUpdate::begin(Target const& target, ModelState state) {
  // A path that names no version fails when it is checked, and is told then.
  auto const named = version_of_path(model_, target.path);
  state.target = {digest_of(target), named ? *named : std::string()};
  state.rollout = target.rollout;
  state.attempt = target.attempt;
  state.tries = 0;
  state.stalled = Millis{0};
  state.staged_bytes = 0;
  staged_seen_ = 0;
  state.memory_needed = 0;
  state.waiting.clear();
  if (state.held == state.target.digest) state.held.clear();
  backoff_ = 0;
  quiet_until_.reset();
  contact_seen_ = shop_.contact.total();
  if (auto const started = advance(std::move(state), Event::directed); !started) return log_failed("start", started.error());
}

/// Something newer is wanted before this was proved: it runs on, and its proof is taken up again should what comes in its place end before the switch.
void ModelUpdate::give_way(ModelState state) {
  probation_.reset();
  auto const current = context_.slots.current(model_);
  bool const runs = state.state == State::probation || (current && *current == state.target.digest);
  if (runs) {
    state = settled(std::move(state));
    state.unproven = Unproven{state.rollout, state.attempt};
  }
  if (auto const given = advance(std::move(state), Event::superseded); !given) log_failed("supersede", given.error());
}

void ModelUpdate::resume() {
  auto state = this->state();
  if (!state.unproven || !next_state(state.state, Event::resumed) || !claim_members(state)) return;
  state.target = state.running;
  state.rollout = state.unproven->rollout;
  state.attempt = state.unproven->attempt;
  state.unproven.reset();
  if (auto const resumed = advance(std::move(state), Event::resumed); !resumed) log_failed("resume", resumed.error());
}

/// To none, or to the version before: at once, unless the owners' floor forbids it.
bool ModelUpdate::is_way_back(Target const& target, ModelState const& state) const {
  if (target.action == wire::Action::remove) return true;
  if (target.action != wire::Action::revert || state.previous.none() || digest_of(target) != state.previous.digest) return false;
  auto const document = context_.slots.load_release(model_, state.previous.digest);
  if (!document) return state.floor == 0;
  auto const release = wire::decode_release(*document);
  return release && check_floor(*release, state.floor) && check_kept_members(*release);
}

/// Back to a version that ran here before, or to none. Local where its slot is whole; fetched like any other release otherwise.
void ModelUpdate::follow_return(Target const& target) {
  auto const digest = target.action == wire::Action::remove ? std::string() : digest_of(target);
  auto const before = this->state();
  auto state = settled(before);
  if (!next_state(state.state, Event::ordered_back) || state.running.digest == digest) return;
  if (!is_way_back(target, state)) return follow_install(target);
  if (!claim_members(state)) return;
  auto waiting = before;
  auto const locked = is_locked(waiting);
  if (!locked) return log_failed("look at the lock", locked.error());
  if (*locked) return show_waiting(std::move(waiting), std::string(kUpdateLock));
  state.rollout = target.rollout;
  if (digest.empty()) state.previous = state.older = {};  // to none, not to the version before
  auto const going = advance(std::move(state), Event::ordered_back);
  if (going) return;
  lock_.reset();
  log_failed("go back", going.error());
}

/// Health checks and probation of what runs, for who is compared with those that switch. What runs and was not proved at its own switch is proved
/// for that first.
void ModelUpdate::follow_prove(Target const& target) {
  auto state = this->state();
  auto const digest = digest_of(target);
  if (digest.empty() || !may_act_ || !at_rest(state.state) || state.unproven) return;
  auto const& done = state.proof_done;
  if (done && done->digest == digest && done->rollout == target.rollout && target.attempt <= done->attempt) return;
  bool const runs = state.running.digest == digest;
  auto const named = version_of_path(model_, target.path);
  state.target = runs ? state.running : Version{digest, named ? *named : std::string()};
  state.rollout = target.rollout;
  state.attempt = target.attempt;
  state.error = {};
  wire::DeviceError why;
  if (!runs) {
    auto const running = state.running.none() ? std::string("nothing") : state.running.version;
    why = {"not_running", fmt::format("{} is to be proved, and {} runs", state.target.version, running), {}};
    state.proof_done = Refusal{digest, target.rollout, target.attempt};
  }
  quiet_until_.reset();
  auto const begun = advance(std::move(state), runs ? Event::asked : Event::not_running, std::move(why));
  if (!begun) log_failed("prove what runs", begun.error());
}

void ModelUpdate::show_waiting(ModelState state, std::string const& why) {
  if (state.waiting == why) return;
  state.waiting = why;
  if (auto const saved = context_.journal.save(state); !saved) return log_failed("keep why it waits", saved.error());
  show(state);
}

void ModelUpdate::work(Target const* target) {
  if (quiet_until_ && times_found() != contacts_) quiet_until_.reset();  // the server is there again, or a bundle
  if (quiet_until_ && now() < *quiet_until_) return look_again_in(*quiet_until_ - now());
  quiet_until_.reset();
  while (!interrupt_.is_raised()) {
    auto const before = state();
    auto const stepped = step(before, target);
    if (!stepped && stepped.error().code == "interrupted") return;
    if (!stepped) {
      lock_.reset();
      return trouble(before, stepped.error());
    }
    if (in_trouble_) show(state());
    in_trouble_ = false;
    if (state().state == before.state) return;
  }
}

Result<void> ModelUpdate::step(ModelState const& state, Target const* target) {
  switch (state.state) {
    case State::checking: return target == nullptr ? Result<void>{} : check(state, *target);
    case State::downloading: return target == nullptr ? Result<void>{} : fetch(state, *target);
    case State::staged:
    case State::waiting: return target == nullptr ? Result<void>{} : wait_or_go_on(state, *target);
    case State::testing: return test(state);
    case State::switching: return switch_over(state);
    case State::probation:
    case State::proving: return prove(state);
    case State::rolling_back: return go_back(state);
    case State::idle:
    case State::committed:
    case State::failed:
    case State::rolled_back:
    case State::proved:
    case State::ineligible: return {};
  }
  return {};
}

}  // namespace fleet::agent
