#include "agent/proof/own_reason.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <algorithm>

/// How an update ends: what was proved stays, what was not goes back.
namespace fleet::agent {

Result<void> ModelUpdate::commit(ModelState state) {
  FLEET_TRY(auto const parts, parts_or_fail(state));
  if (!parts) return {};
  for (auto const& part : *parts) {
    auto const kept = ask(Verb::commit, part.model, part.version, part.release, {});
    if (!kept && kept.error().code == "interrupted") return kept;
    if (!kept && !own_reason(kept.error()).empty()) return wait_for_own(std::move(state), kept.error());
    if (kept) continue;
    FLEET_CHECK(fail(std::move(state), about(part, told_of(kept.error()))));
    return {};
  }
  for (auto const& part : *parts)
    if (is_member(part)) FLEET_CHECK(commit_member(state, part));
  state.floor = std::max(state.floor, parts->back().release.manifest.security_floor);
  retire_older(state);
  FLEET_CHECK(advance(std::move(state), Event::healthy));
  if (is_own()) end_trial();
  return {};
}

Result<void> ModelUpdate::end_proof(ModelState state) {
  state.proof_done = Refusal{state.target.digest, state.rollout, state.attempt};
  FLEET_CHECK(advance(std::move(state), Event::healthy));
  return {};
}

/// Local and immediate; past what was revoked. Without a version to return to, `current` is taken away and the app is told. Of a set: it stands no more
/// before any member moves, and they go back in the reverse order.
Result<void> ModelUpdate::go_back(ModelState state) {
  auto const place = place_to_return(state, revoked_, ordered_);
  auto const left = state.running.none() ? state.target : state.running;
  if (place != state.previous)
    log::warn("update.revoked_passed_over", {{"model", model_}, {"version", state.previous.version}, {"to", place.none() ? "none" : place.version}});
  FLEET_CHECK(place.none() ? context_.slots.remove_current(model_) : context_.slots.switch_to(model_, place.digest));
  lock_.reset();
  if (auto const* const record = find_record(state, state.running.digest))
    for (auto member = record->members.rbegin(); member != record->members.rend(); ++member) FLEET_CHECK(take_back(state, *member));
  if (auto const back = uninstall(model_, left, place); !back) return back.error().code == "interrupted" ? back : wait_for_own(std::move(state), back.error());
  if (place.none()) run_hook(context_.config.removed_hook, model_, left);
  state.previous = place == state.previous ? state.older : Version{};
  state.running = place;
  state.older = {};
  state.unproven.reset();
  if (!place.none()) run_hook(context_.config.switched_hook, model_, place);
  FLEET_CHECK(advance(std::move(state), Event::returned));
  if (is_own()) end_trial();
  return {};
}

}  // namespace fleet::agent
