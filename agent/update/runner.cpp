#include "agent/update/runner.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kLookAgain{1'000};

void log_failed(std::string_view doing, std::string const& model, Error const& error) {
  log::warn("update.failed", {{"doing", doing}, {"model", model}, {"code", error.code}, {"error", error.detail}});
}

bool is_refused(ModelState const& state, std::string const& digest, std::string const& rollout, std::int64_t attempt) {
  return std::any_of(state.refusals.begin(), state.refusals.end(),
                     [&](Refusal const& one) { return one.digest == digest && one.rollout == rollout && attempt <= one.attempt; });
}

bool was_told(std::optional<wire::UpdateItem> const& last, ModelState const& state) {
  return last && last->state == to_string(state.state) && last->digest == state.target.digest && last->rollout == state.rollout &&
         last->attempt == state.attempt && last->running_digest == state.running.digest && last->error.code == state.error.code;
}

}  // namespace

std::string digest_of(wire::DirectiveTarget const& target) {
  auto const found = target.hashes.find("sha256");
  return found == target.hashes.end() ? std::string() : found->second;
}

Runner::Runner(Context& context, Remote& remote, Told told)
    : context_(context),
      remote_(remote),
      throttle_(context.clock, context.config.bandwidth_bytes_per_s,
                Budget(context.fs, context.layout.download_budget(), context.config.download_bytes_per_day)),
      told_(std::move(told)),
      shown_(context.journal.models()) {}

void Runner::loop() {
  settle_at_start();
  while (!context_.stop) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLookAgain, [this] { return woken_ || context_.stop; });
      woken_ = false;
    }
    if (!context_.stop) round();
  }
}

void Runner::wake() {
  {
    std::lock_guard const lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Runner::direct(Told told) {
  {
    std::lock_guard const lock(mutex_);
    told_ = std::move(told);
    drop_unwanted_fetch();
  }
  wake();
}

/// A long download must not stand in the way of a newer directive or of the owner. The lock is held.
void Runner::drop_unwanted_fetch() {
  if (!fetching_) return;
  bool const wanted = std::any_of(told_.targets.begin(), told_.targets.end(), [&](Target const& one) {
    return one.model == fetching_->model && one.action != wire::Action::remove && digest_of(one) == fetching_->target.digest &&
           one.attempt == fetching_->attempt;
  });
  if (!wanted || !orders_.empty()) remote_.cancel();
}

void Runner::set_sources(std::vector<std::string> sources) {
  std::lock_guard const lock(mutex_);
  sources_ = std::move(sources);
}

std::map<std::string, ModelState> Runner::models() const {
  std::lock_guard const lock(mutex_);
  return shown_;
}

Told Runner::told() const {
  std::lock_guard const lock(mutex_);
  return told_;
}

Result<void> Runner::roll_back(std::string const& model) {
  {
    std::lock_guard const lock(mutex_);
    auto const found = shown_.find(model);
    if (found == shown_.end()) return Error{Kind::not_found, "unknown_model", fmt::format("no model '{}' on this device", model)};
    if (found->second.running.none()) return Error{Kind::conflict, "nothing_before", fmt::format("model {} runs nothing", model)};
    if (found->second.previous.none())
      return Error{Kind::conflict, "nothing_before", fmt::format("no version of model {} ran before {}", model, found->second.running.version),
                   "going back would leave none; an operator takes a release away: fleetctl rollout rollback"};
    orders_.push_back({Order::Kind::roll_back, model});
    drop_unwanted_fetch();
  }
  wake();
  return {};
}

Result<void> Runner::unhold(std::string const& model) {
  {
    std::lock_guard const lock(mutex_);
    auto const found = shown_.find(model);
    if (found == shown_.end()) return Error{Kind::not_found, "unknown_model", fmt::format("no model '{}' on this device", model)};
    if (found->second.held.empty()) return Error{Kind::conflict, "not_held", fmt::format("model {} holds no release", model)};
    orders_.push_back({Order::Kind::unhold, model});
  }
  wake();
  return {};
}

ModelState Runner::state_of_model(std::string const& model) const {
  auto const found = context_.journal.models().find(model);
  if (found != context_.journal.models().end()) return found->second;
  ModelState fresh;
  fresh.model = model;
  return fresh;
}

/// A journal that is damaged or gone is rebuilt from the links and the slots: what `current` points at runs and is kept. A state whose
/// transition was journalled and not spooled is told now.
void Runner::settle_at_start() {
  auto const models = context_.slots.models();
  for (auto const& model : models ? *models : std::vector<std::string>{}) {
    auto state = state_of_model(model);
    auto const current = context_.slots.current(model);
    // While switching and rolling back the link may be ahead of the journal: those steps are taken again.
    bool const may_differ = !context_.journal_damaged && (state.state == State::switching || state.state == State::rolling_back);
    if (!current || *current == state.running.digest || may_differ) continue;
    log::warn("journal.rebuilt", {{"model", model}, {"journal", state.running.digest}, {"current", *current}});
    state.previous = state.running;
    state.running = state.target = {*current, {}};
    if (auto const release = release_of(state)) state.running.version = state.target.version = release->version;
    state.state = current->empty() ? State::idle : State::committed;
    state.error = {};
    if (auto const saved = context_.journal.save(state); !saved) log_failed("rebuild", model, saved.error());
  }
  for (auto const& [model, state] : context_.journal.models()) {
    if (was_told(context_.spool->last_update(model), state)) show(state);
    else report(state);
  }
}

void Runner::round() {
  std::vector<Order> orders;
  Told told;
  {
    std::lock_guard const lock(mutex_);
    orders.swap(orders_);
    told = told_;
  }
  for (auto const& order : orders) obey(order);
  withdraw_unnamed(told.targets);
  for (auto const& target : told.targets) {
    if (context_.stop) return;
    follow(target);
  }
  // What was switched goes on to its end also when no directive names it any more.
  for (auto const& [model, state] : std::map(context_.journal.models()))
    if (!context_.stop && !before_switch(state.state) && !at_rest(state.state)) work(model, nullptr);
}

void Runner::obey(Order const& order) {
  auto state = state_of_model(order.model);
  if (order.kind == Order::Kind::unhold) {
    std::erase_if(state.refusals, [&](Refusal const& one) { return one.digest == state.held; });
    state.held.clear();
    if (auto const saved = context_.journal.save(state); !saved) return log_failed("unhold", order.model, saved.error());
    state.error = {std::string(wire::kUnheld), "the device's owner lets the held release be taken again", {}};
    report(state);  // so that the server directs it here again
    return;
  }
  if (before_switch(state.state)) {
    auto dropped = advance(std::move(state), Event::withdrawn);
    if (!dropped) return log_failed("roll back", order.model, dropped.error());
    state = std::move(*dropped);
  }
  if (state.running.none() || !next_state(state.state, Event::ordered_back)) return;
  retry_at_.erase(order.model);
  state.held = state.running.digest;
  state.refusals.push_back({state.running.digest, state.rollout, state.attempt});
  wire::DeviceError const why{"rolled_back_by_owner", "the device's owner asked for the version before", {}};
  auto const going = advance(std::move(state), Event::ordered_back, why);
  if (!going) return log_failed("roll back", order.model, going.error());
  work(order.model, nullptr);
}

void Runner::withdraw_unnamed(std::vector<Target> const& targets) {
  for (auto const& entry : std::map(context_.journal.models())) {
    auto const& model = entry.first;  // clang 14 lets no lambda capture a structured binding
    auto const& state = entry.second;
    auto const named = std::any_of(targets.begin(), targets.end(), [&](Target const& one) {
      return one.model == model && one.action != wire::Action::remove && digest_of(one) == state.target.digest && one.attempt == state.attempt;
    });
    if (named || !before_switch(state.state)) continue;
    if (auto const dropped = advance(state, Event::withdrawn); !dropped) log_failed("withdraw", model, dropped.error());
    retry_at_.erase(model);
  }
}

void Runner::follow(Target const& target) {
  auto state = state_of_model(target.model);
  switch (target.action) {
    case wire::Action::install: return follow_install(target, std::move(state));
    case wire::Action::revert:
    case wire::Action::remove: return follow_return(target, std::move(state));
    case wire::Action::unknown: log::warn("directive.unknown_action", {{"model", target.model}}); return;
  }
}

void Runner::follow_install(Target const& target, ModelState state) {
  auto const digest = digest_of(target);
  if (!at_rest(state.state)) return work(target.model, &target);
  if (digest.empty() || is_refused(state, digest, target.rollout, target.attempt)) return;
  // A path that names no version fails when it is checked, and is told then.
  auto const named = version_of_path(target.model, target.path);
  auto const version = named ? *named : std::string();
  if (state.running.digest == digest) {
    if (state.rollout == target.rollout && state.attempt == target.attempt && state.state == State::committed) return;
    // It runs already: said once for this rollout, nothing is done. Its name is the one that was verified, not the one a directive gives it.
    if (state.running.version.empty()) state.running.version = version;
    state.target = state.running;
    state.rollout = target.rollout;
    state.attempt = target.attempt;
    state.error = {};
    if (auto const adopted = advance(std::move(state), Event::adopted); !adopted) log_failed("adopt", target.model, adopted.error());
    return;
  }
  if (!may_act()) return;
  state.target = {digest, version};
  state.rollout = target.rollout;
  state.attempt = target.attempt;
  state.tries = 0;
  state.waiting.clear();
  if (state.held == digest) {
    // A higher attempt of what was held is the operator's word to take it again; another rollout of it is not.
    bool const asked_again =
        std::any_of(state.refusals.begin(), state.refusals.end(), [&](Refusal const& one) { return one.digest == digest && one.rollout == target.rollout; });
    if (!asked_again) return;
    state.held.clear();
  }
  auto const started = advance(std::move(state), Event::directed);
  if (!started) return log_failed("start", target.model, started.error());
  work(target.model, &target);
}

/// To none, or to the version before: at once, unless the owners' floor forbids it.
bool Runner::is_way_back(Target const& target, ModelState const& state) const {
  if (target.action == wire::Action::remove) return true;
  if (target.action != wire::Action::revert || state.previous.none() || digest_of(target) != state.previous.digest) return false;
  auto const document = context_.slots.load_release(state.model, state.previous.digest);
  if (!document) return state.floor == 0;
  auto const release = wire::decode_release(*document);
  return release && check_floor(*release, state.floor);
}

/// Back to a version that ran here before, or to none. Local where its slot is whole; fetched like any other release otherwise.
void Runner::follow_return(Target const& target, ModelState state) {
  auto const digest = target.action == wire::Action::remove ? std::string() : digest_of(target);
  if (!at_rest(state.state) && state.state != State::probation) return work(target.model, &target);
  if (state.running.digest == digest) return;
  if (!is_way_back(target, state)) return follow_install(target, std::move(state));
  state.rollout = target.rollout;
  if (digest.empty()) state.previous = state.older = {};  // to none, not to the version before
  auto const going = advance(std::move(state), Event::ordered_back);
  if (!going) return log_failed("go back", target.model, going.error());
  work(target.model, nullptr);
}

void Runner::work(std::string const& model, Target const* target) {
  auto const due = retry_at_.find(model);
  if (due != retry_at_.end() && context_.clock.mono() < due->second) return;
  retry_at_.erase(model);
  while (!context_.stop) {
    auto const state = state_of_model(model);
    auto const before = state.state;
    auto const stepped = [&]() -> Result<void> {
      switch (state.state) {
        case State::checking: return target == nullptr ? Result<void>{} : check(state, *target);
        case State::downloading: return target == nullptr ? Result<void>{} : fetch(state, *target);
        case State::staged:
        case State::waiting: return target == nullptr ? Result<void>{} : wait_or_test(state, *target);
        case State::testing: return test(state);
        case State::switching: return switch_over(state);
        case State::probation: return prove(state);
        case State::rolling_back: return go_back(state);
        case State::idle:
        case State::committed:
        case State::failed:
        case State::rolled_back: return {};
      }
      return {};
    }();
    if (!stepped) return log_failed(to_string(before), model, stepped.error());
    if (state_of_model(model).state == before) return;
  }
}

}  // namespace fleet::agent
