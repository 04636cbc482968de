#include "agent/handlers/handler.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <set>

/// What an update of a set does with its members (docs/adr/0029).
namespace fleet::agent {
namespace {

std::uint64_t memory_bytes() {
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? static_cast<std::uint64_t>(info.totalram) * info.mem_unit : 0;
}

/// States in which a set has its members: from the test to its end.
bool moves_members(State state) {
  return state == State::testing || state == State::switching || state == State::probation || state == State::proving || state == State::rolling_back;
}

constexpr std::size_t kMembersKept = 4;

Error disagree(std::string detail) { return {Kind::signature, "chains_disagree", std::move(detail)}; }

/// What runs of a member becomes its target. What was never proved is no version to go back to: `previous` is what is.
void move_to(ModelState& member, Version const& target, Version const& before) {
  if (member.running == before) {
    member.older = member.previous;
    member.previous = member.running;
  }
  member.unproven.reset();
  member.running = member.target = target;
}

}  // namespace

std::vector<std::string> ModelUpdate::member_models(ModelState const& state) const {
  std::set<std::string> out;
  for (auto const& set : state.sets)
    for (auto const& member : set.members) out.insert(member.model);
  for (auto const* const version : {&state.target, &state.running})
    for (auto const& model : members_of_release(version->digest)) out.insert(model);
  return {out.begin(), out.end()};
}

/// Asked at each look: a document is read once.
std::vector<std::string> ModelUpdate::members_of_release(std::string const& digest) const {
  if (digest.empty()) return {};
  if (auto const known = members_.find(digest); known != members_.end()) return known->second;
  auto const document = context_.slots.load_release(model_, digest);
  auto const release = document ? wire::decode_release(*document) : Result<wire::Release>(document.error());
  if (!release) return {};
  if (members_.size() >= kMembersKept) members_.clear();
  auto& kept = members_[digest];
  for (auto const& member : release->members) kept.push_back(member.model);
  return kept;
}

bool ModelUpdate::claim(ModelState const& state) { return moves_members(state.state) ? claim_members(state) : shop_.claims.take(model_, {model_}); }

bool ModelUpdate::claim_members(ModelState const& state) {
  auto models = member_models(state);
  models.push_back(model_);
  return shop_.claims.take(model_, models);
}

void ModelUpdate::claim_at_start() {
  auto const state = this->state();
  if (moves_members(state.state) && !member_models(state).empty()) static_cast<void>(claim_members(state));
}

void ModelUpdate::give_claims() {
  auto const state = this->state().state;
  if (moves_members(state)) return;
  for (auto const& model : shop_.claims.give(model_, at_rest(state))) shop_.wishes.wake(model);
}

/// Each as it was signed for itself and as the set's owners signed it, and as the directive lists it.
Result<void> ModelUpdate::check_members(ReleaseSource& source, wire::Release const& set, ModelState const& state) {
  auto const listed = members_of(shop_.wishes.told(), model_);
  if (listed.size() != set.members.size())
    return disagree(fmt::format("the directive lists {} members of {}@{}, it has {}", listed.size(), set.model, set.version, set.members.size()));
  bool const insisted = std::any_of(state.refusals.begin(), state.refusals.end(), [&](Refusal const& one) {
    return one.digest == state.target.digest && one.rollout == state.rollout && one.attempt < state.attempt;
  });
  for (auto const& member : set.members) {
    auto const target = std::find_if(listed.begin(), listed.end(), [&](Target const& one) { return one.model == member.model; });
    if (target == listed.end() || digest_of(*target) != member.digest.hex() || target->after != member.after)
      return disagree(fmt::format("the directive has another {} than set {}@{}", member.model, set.model, set.version));
    auto own = context_.journal.state(member.model);
    if (own.held == member.digest.hex() && !insisted)
      return Error{Kind::conflict, "held", fmt::format("{}@{}, a member of {}@{}, is held by the device's owner", member.model, member.version, set.model, set.version)};
    if (own.held == member.digest.hex()) {  // the operator's word to take it again
      own.held.clear();
      FLEET_CHECK(context_.journal.save(own));
    }
    FLEET_TRY(auto const verified, fetch_release(context_.fs, source, context_.trusted, context_.layout.release_metadata(), *target));
    if (member.model == wire::kAgentModel) return Error{Kind::unprocessable, "ineligible", fmt::format("{} goes its own way: it is no member of a set", member.model)};
    if (verified.release.is_set()) return disagree(fmt::format("member {}@{} is a set itself", member.model, member.version));
    FLEET_CHECK(check_eligible(verified.release, context_.identity, own.floor, memory_bytes()));
    FLEET_CHECK(check_handler(verified.release, context_.config));
    FLEET_CHECK(ask(Verb::check, member.model, {member.digest.hex(), member.version}, verified.release, own.running.digest));
    keep_signed(source, member.model, member.digest.hex());
    FLEET_CHECK(context_.slots.save_release(member.model, member.digest.hex(), verified.document));
  }
  return {};
}

/// Documents of members that ran here before: there, and above what each may not go below.
Result<void> ModelUpdate::check_kept_members(wire::Release const& set) const {
  for (auto const& member : set.members) {
    FLEET_TRY(auto const document, context_.slots.load_release(member.model, member.digest.hex()));
    FLEET_TRY(auto const release, wire::decode_release(document));
    FLEET_CHECK(check_floor(release, context_.journal.state(member.model).floor));
  }
  return {};
}

void ModelUpdate::note_before(ModelState& state, std::vector<Part> const& parts) const {
  if (parts.size() == 1) return;
  SetRecord record{state.target.digest, {}};
  auto const* const unproven = state.unproven ? find_record(state, state.running.digest) : nullptr;
  for (auto const& part : parts) {
    if (!is_member(part)) continue;
    MemberBefore member{part.model, context_.journal.state(part.model).running};
    if (unproven != nullptr)  // what it ran when something was proved last
      for (auto const& one : unproven->members)
        if (one.model == part.model) member.before = one.before;
    record.members.push_back(std::move(member));
  }
  std::erase_if(state.sets, [&](SetRecord const& one) { return one.digest == record.digest; });
  state.sets.push_back(std::move(record));
}

std::string ModelUpdate::ran_before(ModelState const& state, Part const& part) const {
  if (!is_member(part)) return state.running == state.target ? state.previous.digest : state.running.digest;
  auto const* const record = find_record(state, state.target.digest);
  for (auto const& one : record == nullptr ? std::vector<MemberBefore>{} : record->members)
    if (one.model == part.model) return one.before.digest;
  return {};
}

/// May be done again: after a kill, it is.
Result<bool> ModelUpdate::switch_part(ModelState const& state, Part const& part) {
  if (!is_member(part)) {
    FLEET_CHECK(context_.slots.switch_to(model_, part.version.digest));
    measure(model_, part.version.digest);
    return true;
  }
  auto const* const record = find_record(state, state.target.digest);
  if (record == nullptr) return Error{Kind::corrupt, "no_record", fmt::format("what ran before of the members of {} is not known", model_)};
  auto const known = std::find_if(record->members.begin(), record->members.end(), [&](MemberBefore const& one) { return one.model == part.model; });
  if (known == record->members.end() || known->before == part.version) return false;  // it runs already, and stays
  FLEET_CHECK(context_.slots.switch_to(part.model, part.version.digest));
  auto member = context_.journal.state(part.model);
  if (member.running == part.version) return true;
  member.model = part.model;
  move_to(member, part.version, known->before);
  member.variant.clear();
  member.state = State::committed;
  member.rollout = state.rollout;
  member.attempt = state.attempt;
  member.error = {};
  member.since = context_.trusted.now();
  log::info("update.member", {{"set", model_}, {"model", part.model}, {"version", part.version.version}});
  FLEET_CHECK(context_.journal.save(member));
  show(member);
  return true;
}

/// To what it ran before the set's release; past what was revoked, to none. May be done again.
Result<void> ModelUpdate::take_back(ModelState const& state, MemberBefore const& before) {
  auto const revoked = shop_.wishes.revoked_of(before.model);
  bool const stands = std::find(revoked.begin(), revoked.end(), before.before.digest) == revoked.end();
  auto const place = stands ? before.before : Version{};
  FLEET_TRY(auto const current, context_.slots.current(before.model));
  auto member = context_.journal.state(before.model);
  if (current == place.digest && member.running == place) return {};  // it never moved, or is back
  auto const left = member.running;
  FLEET_CHECK(place.none() ? context_.slots.remove_current(before.model) : context_.slots.switch_to(before.model, place.digest));
  FLEET_CHECK(uninstall(before.model, left, place));
  if (place.none()) run_hook(context_.config.removed_hook, before.model, left);
  else run_hook(context_.config.switched_hook, before.model, place);
  if (left == place) return {};
  member.model = before.model;
  member.previous = place == member.previous ? member.older : Version{};
  member.older = {};
  member.target = left;
  member.running = place;
  member.unproven.reset();
  member.variant.clear();
  member.state = State::rolled_back;
  member.rollout = state.rollout;
  member.attempt = state.attempt;
  member.error = state.error;
  member.since = context_.trusted.now();
  log::info("update.member_back", {{"set", model_}, {"model", before.model}, {"to", place.none() ? "none" : place.version}});
  FLEET_CHECK(context_.journal.save(member));
  report(member);
  return {};
}

Result<void> ModelUpdate::commit_member(ModelState const& state, Part const& part) {
  auto member = context_.journal.state(part.model);
  member.model = part.model;
  member.floor = std::max(member.floor, part.release.manifest.security_floor);
  member.state = State::committed;
  member.target = member.running;
  member.rollout = state.rollout;
  member.attempt = state.attempt;
  member.error = {};
  retire_older(member);
  FLEET_CHECK(context_.journal.save(member));
  report(member);
  return {};
}

/// Only where nothing is under way: a member may be another's for as long as the set is in its test, its switch or its proof.
void ModelUpdate::look_whether_broken() {
  auto state = this->state();
  auto const* const record = find_record(state, state.running.digest);
  if (record == nullptr || (!at_rest(state.state) && !before_switch(state.state)) || moves_members(state.state)) return;
  auto const document = context_.slots.load_release(model_, state.running.digest);
  auto const set = document ? wire::decode_release(*document) : Result<wire::Release>(document.error());
  if (!set) return;
  auto const differs = std::find_if(set->members.begin(), set->members.end(),
                                    [&](wire::Member const& one) { return context_.journal.state(one.model).running.digest != one.digest.hex(); });
  if (differs == set->members.end()) return;
  log::info("update.set_broken_up", {{"set", model_}, {"version", state.running.version}, {"by", differs->model}});
  if (auto const removed = context_.slots.remove_current(model_); !removed) return log_failed("break up", removed.error());
  state.running = state.previous = state.older = {};
  state.unproven.reset();
  if (at_rest(state.state)) state.state = State::idle;
  prune_records(state);
  if (auto const saved = context_.journal.save(state); !saved) return log_failed("break up", saved.error());
  report(state);
}

/// A model moved by itself: a set that it is a member of looks whether it still stands.
void ModelUpdate::wake_sets() {
  for (auto const& [name, state] : context_.journal.models()) {
    auto const has = [&](SetRecord const& set) { return std::any_of(set.members.begin(), set.members.end(), [&](MemberBefore const& one) { return one.model == model_; }); };
    if (std::any_of(state.sets.begin(), state.sets.end(), has)) shop_.wishes.wake(name);
  }
}

wire::DeviceError ModelUpdate::about(Part const& part, wire::DeviceError error) const {
  if (is_member(part)) error.text = fmt::format("{}@{}: {}", part.model, part.version.version, error.text);
  return error;
}

}  // namespace fleet::agent
