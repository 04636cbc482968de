#include "agent/update/wishes.hpp"

#include "agent/update/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

namespace fleet::agent {
namespace {

/// Whether a model at work must hear of its new target at once. What was switched goes on to its end when nothing else is asked for.
bool is_overtaken(ModelState const& doing, wire::DirectiveTarget const* target) {
  if (at_rest(doing.state)) return true;  // it may be about to begin what was wanted before
  if (before_switch(doing.state)) return target == nullptr || !is_work_on(*target, doing);
  if (target == nullptr) return false;
  if (target->action == wire::Action::remove) return true;
  auto const wanted = digest_of(*target);
  return wanted != doing.target.digest && (doing.state != State::rolling_back || wanted != doing.previous.digest);
}

}  // namespace

Version place_to_return(ModelState const& state, std::vector<std::string> const& revoked, std::string const& ordered) {
  for (auto const* const version : {&state.previous, &state.older})
    if (!version->none() && (version->digest == ordered || std::find(revoked.begin(), revoked.end(), version->digest) == revoked.end())) return *version;
  return {};
}

std::string digest_of(wire::DirectiveTarget const& target) {
  auto const found = target.hashes.find("sha256");
  return found == target.hashes.end() ? std::string() : found->second;
}

std::vector<wire::DirectiveTarget> members_of(Told const& told, std::string const& set) {
  std::vector<wire::DirectiveTarget> out;
  std::copy_if(told.targets.begin(), told.targets.end(), std::back_inserter(out), [&](auto const& one) { return one.set == set; });
  return out;
}

bool is_work_on(wire::DirectiveTarget const& target, ModelState const& state) {
  bool const proof = target.action == wire::Action::prove;
  // A proof is its rollout's: what a release proved for one says nothing for another, which may want another time.
  if (proof != state.proof || (proof && target.rollout != state.rollout)) return false;
  return target.action != wire::Action::remove && digest_of(target) == state.target.digest && target.attempt == state.attempt;
}

Wishes::Wishes(Told told, std::map<std::string, ModelState> shown, std::function<void(std::string const& model)> wake)
    : wake_(std::move(wake)), told_(std::move(told)), shown_(std::move(shown)) {}

wire::DirectiveTarget const* Wishes::entry_of(std::string const& model) const {
  auto const found = std::find_if(told_.targets.begin(), told_.targets.end(), [&](auto const& one) { return one.model == model; });
  return found == told_.targets.end() ? nullptr : &*found;
}

wire::DirectiveTarget const* Wishes::target_of(std::string const& model) const {
  auto const* const entry = entry_of(model);
  bool const moves = entry != nullptr && entry->action != wire::Action::none && entry->set.empty();  // a member moves with its set
  return moves ? entry : nullptr;
}

void Wishes::direct(Told told) {
  std::set<std::string> models;
  {
    std::lock_guard const lock(mutex_);
    told_ = std::move(told);
    for (auto const& [model, state] : shown_) {
      models.insert(model);
      if (auto const doing = interrupts_.find(model); doing != interrupts_.end() && is_overtaken(state, target_of(model))) doing->second->raise();
    }
    for (auto const& target : told_.targets) models.insert(target.model);
  }
  for (auto const& model : models) wake_(model);
}

std::string Wishes::set_that_runs(std::string const& model) const {
  for (auto const& [name, state] : shown_) {
    auto const& version = state.state == State::switching ? state.target : state.running;
    for (auto const& set : state.sets) {
      bool const has = std::any_of(set.members.begin(), set.members.end(), [&](MemberBefore const& one) { return one.model == model; });
      if (!version.none() && set.digest == version.digest && has) return name;
    }
  }
  return {};
}

std::string Wishes::set_that_is_told(std::string const& model) const {
  auto const* const entry = entry_of(model);
  return entry == nullptr ? std::string() : entry->set;
}

std::vector<std::string> Wishes::revoked_of(std::string const& model) const {
  std::lock_guard const lock(mutex_);
  auto const* const entry = entry_of(model);
  return entry == nullptr ? std::vector<std::string>{} : entry->revoked;
}

std::string Wishes::owner_of(std::string const& model) const {
  std::lock_guard const lock(mutex_);
  auto const set = set_that_runs(model);
  return set.empty() ? model : set;
}

Result<void> Wishes::order(std::string const& named, Order order) {
  auto model = named;
  std::string also;
  {
    std::lock_guard const lock(mutex_);
    // What is said of a member is said of its set; a hold of its own alone is lifted there.
    auto const set = order == Order::roll_back ? set_that_runs(named) : set_that_is_told(named);
    auto const own = shown_.find(named);
    bool const held_itself = order == Order::unhold && own != shown_.end() && !own->second.held.empty();
    if (!set.empty() && shown_.contains(set) && !held_itself) model = set;
    auto const found = shown_.find(model);
    if (found == shown_.end()) return Error{Kind::not_found, "unknown_model", fmt::format("no model '{}' on this device", model)};
    auto const& state = found->second;
    if (order == Order::unhold && state.held.empty()) return Error{Kind::conflict, "not_held", fmt::format("model {} holds no release", model)};
    if (order == Order::consent && !before_switch(state.state))
      return Error{Kind::conflict, "nothing_waits", fmt::format("no release of model {} is on its way to being switched to", model)};
    if (order == Order::roll_back) FLEET_CHECK(check_way_back(state));
    orders_[model].push_back(order);
    if (auto const doing = interrupts_.find(model); doing != interrupts_.end()) doing->second->raise();
    auto const of_set = shown_.find(set);
    if (held_itself && of_set != shown_.end() && !of_set->second.held.empty()) orders_[set].push_back(order);
    if (held_itself && !set.empty()) also = set;
  }
  wake_(model);
  if (!also.empty()) wake_(also);
  return {};
}

Result<void> Wishes::check_way_back(ModelState const& state) const {
  // A switch that goes on counts as made.
  auto as_switched = state;
  if (state.state == State::switching) {
    as_switched.running = state.target;
    as_switched.previous = state.running;
  }
  if (as_switched.running.none()) return Error{Kind::conflict, "nothing_before", fmt::format("model {} runs nothing", state.model)};
  if (!as_switched.sets.empty()) return {};  // of a set: each member to what it ran before
  if (as_switched.previous.none())
    return Error{Kind::conflict, "nothing_before", fmt::format("no version of model {} ran before {}", state.model, as_switched.running.version),
                 "going back would leave none; an operator takes a release away: fleetctl rollout rollback"};
  auto const* const entry = entry_of(state.model);
  if (entry != nullptr && place_to_return(as_switched, entry->revoked).none())
    return Error{Kind::conflict, "revoked", fmt::format("{}@{}, which ran before, was revoked, and nothing else is left to go back to", state.model, as_switched.previous.version),
                 "an operator takes a release away: fleetctl rollout rollback"};
  return {};
}

void Wishes::again(std::string const& model, Order order) {
  std::lock_guard const lock(mutex_);
  orders_[model].push_back(order);
}

void Wishes::stop() {
  std::lock_guard const lock(mutex_);
  stopped_ = true;
  for (auto const& [model, interrupt] : interrupts_) interrupt->raise();
}

Wish Wishes::take(std::string const& model, SysTime now) {
  std::lock_guard const lock(mutex_);
  Wish out;
  if (auto const* const target = target_of(model)) out.target = *target;
  if (auto const* const entry = entry_of(model)) out.revoked = entry->revoked;
  out.may_act = now < told_.act_before;
  out.sequence = told_.sequence;
  if (auto const found = orders_.find(model); found != orders_.end()) out.orders = std::move(found->second);
  orders_.erase(model);
  if (auto const doing = interrupts_.find(model); doing != interrupts_.end() && !stopped_) doing->second->lower();
  return out;
}

bool Wishes::is_wanted(ModelState const& state, SysTime now) const {
  std::lock_guard const lock(mutex_);
  auto const* const target = target_of(state.model);
  return now < told_.act_before && target != nullptr && is_work_on(*target, state);
}

Interrupt& Wishes::interrupt(std::string const& model) {
  std::lock_guard const lock(mutex_);
  auto& found = interrupts_[model];
  if (!found) found = std::make_unique<Interrupt>();
  if (stopped_) found->raise();
  return *found;
}

void Wishes::show(ModelState const& state) {
  std::lock_guard const lock(mutex_);
  shown_.insert_or_assign(state.model, state);
}

std::map<std::string, ModelState> Wishes::models() const {
  std::lock_guard const lock(mutex_);
  return shown_;
}

Told Wishes::told() const {
  std::lock_guard const lock(mutex_);
  return told_;
}

}  // namespace fleet::agent
