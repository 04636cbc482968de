#include "agent/handlers/handler.hpp"
#include "agent/proof/own_reason.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>
#include <sys/sysinfo.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kBackoffMax = std::chrono::minutes{10};
constexpr Millis kLookAgain{5'000};
constexpr Millis kTroubleAgain{5'000}, kTroubleAgainMax = std::chrono::minutes{1};
constexpr Millis kKeepDelayEvery = std::chrono::minutes{1};

std::uint64_t memory_bytes() {
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? static_cast<std::uint64_t>(info.totalram) * info.mem_unit : 0;
}

/// What the release itself says is final. Network, disk, and bytes that are not what was signed are none of its fault and may pass: a mirror
/// that lies must not make a device refuse the release for good.
bool is_final(Error const& error) { return error.code == "ineligible" || error.code == "below_floor" || error.code == "bad_path" || error.code == "bad_release" || error.code == "bad_archive" || error.code == "held"; }

/// Whether somebody answered, or the device itself did: then it was a try. Who is offline, behind a captive portal or told to come later has not tried.
bool is_try(Error const& error) {
  if (error.code == "answer_cut") return true;
  if (error.kind == Kind::unavailable || error.kind == Kind::timeout || error.kind == Kind::throttled) return false;
  return error.code != "peer_not_trusted";
}

}  // namespace

Result<void> ModelUpdate::early_failure(ModelState state, Target const& target, Error const& error) {
  if (interrupt_.is_raised() || error.code == "cancelled") {  // somebody's wish, no failure
    lines_.reset();                                            // they may keep the cancel for their next exchange
    look_again_in(Millis{0});
    return Error{Kind::unavailable, "interrupted", error.detail};
  }
  auto const& rule = target.conditions;
  std::uint64_t const there = staged_bytes(state);
  // Of what a journal on a disk that is full did not take, this process knows.
  bool const moved = there > std::max(state.staged_bytes, staged_seen_);
  staged_seen_ = std::max(staged_seen_, there);
  auto const contact = shop_.contact.total();
  // What the device itself lacks is waited for: the time in which it is mended counts for nothing.
  auto const own = own_reason(error);
  if (own.empty()) state.stalled += contact - contact_seen_;
  if (own.empty() && is_try(error)) state.tries += 1;
  if (moved) {
    state.stalled = Millis{0};
    state.tries = 0;
  }
  state.staged_bytes = std::max(state.staged_bytes, there);
  contact_seen_ = contact;
  log::warn("update.try_failed", {{"model", model_}, {"tries", state.tries}, {"there", there}, {"code", error.code}, {"error", error.detail}});
  bool const ends = is_final(error) || state.tries >= std::max(1, rule.attempts) || state.stalled >= rule.give_up;
  if (own.empty() && ends) {
    FLEET_CHECK(fail(std::move(state), told_of(error)));
    return {};
  }
  auto const asked = lines_ ? lines_->retry_after() : Millis{0};
  auto const pause = std::max(asked, next_backoff(moved));
  rest_for(pause);  // also where the disk does not take why: the network is not asked the more for that
  state.error = fit_to_tell(told_of(error));
  state.waiting = own;
  FLEET_CHECK(context_.journal.save(state));
  show(state);
  return {};
}

/// Twice as long each time, ten minutes at most, each device at its own moment.
Millis ModelUpdate::next_backoff(bool begins_anew) {
  backoff_ = begins_anew ? 0 : std::min(backoff_ + 1, 20);
  auto const wait = std::min<double>(static_cast<double>(kBackoffMax.count()), 1000.0 * static_cast<double>(1ULL << backoff_));
  return Millis{static_cast<std::int64_t>(wait * (0.5 + context_.random.uniform()))};
}

void ModelUpdate::rest_for(Millis pause) {
  contacts_ = times_found();
  quiet_until_ = now() + pause;
  look_again_in(pause);
}

Result<void> ModelUpdate::wait_for_own(ModelState state, Error const& error) {
  auto const reason = own_reason(error);
  log::warn("update.waits", {{"model", model_}, {"state", to_string(state.state)}, {"reason", reason}, {"error", error.detail}});
  counted_ = false;
  state.run.starts = 0;
  state.waiting = reason;
  if (state.state != State::rolling_back) state.error = fit_to_tell(told_of(error));  // there it is why it goes back
  rest_for(next_backoff(false));
  FLEET_CHECK(context_.journal.save(state));
  show(state);
  return {};
}

void ModelUpdate::trouble(ModelState state, Error const& error) {
  log_failed(to_string(state.state), error);
  in_trouble_ = !own_reason(error).empty();
  // What was asked of the network and could not be kept is not asked for every few seconds.
  if (before_switch(state.state) && !quiet_until_) rest_for(std::min(next_backoff(false), kTroubleAgainMax));
  if (!in_trouble_) return look_again_in(kTroubleAgain);
  state.waiting = own_reason(error);
  state.error = fit_to_tell(told_of(error));
  show(state);
  look_again_in(kTroubleAgain);
}

std::shared_ptr<Lines> ModelUpdate::lines() {
  if (!lines_) lines_ = std::make_shared<Lines>([this] { return shop_.remotes.make(); }, &shop_.helpers);
  return lines_;
}

/// For runtimes that want to see for themselves. No update waits for it.
void ModelUpdate::keep_signed(ReleaseSource& source, std::string const& model, std::string const& digest) {
  auto* const remote = source.remote();
  if (remote == nullptr) return;  // a bundle has no evidence
  auto const document = signed_release(context_.fs, *remote, context_.layout.release_metadata(), model, digest);
  auto const kept = document ? context_.slots.save_signed(model, digest, *document) : Result<void>(document.error());
  if (!kept) log_failed("keep the signed release", kept.error());
}

Result<std::unique_ptr<ReleaseSource>> ModelUpdate::releases(Lines& lines) {
  if (auto const open = shop_.bundles.get(); open && open->sequence == sequence_)
    return std::unique_ptr<ReleaseSource>(std::make_unique<BundledReleases>(open->bundle, open->issued_at));
  FLEET_TRY(auto* const remote, lines.at(0));
  return std::unique_ptr<ReleaseSource>(std::make_unique<RemoteReleases>(*remote));
}

Result<void> ModelUpdate::check(ModelState state, Target const& target) {
  auto const checked = [&]() -> Result<void> {
    // A version that ran here before and is whole needs no network and no fresh metadata: expiry governs what is adopted, not what is kept.
    auto const kept = context_.slots.load_release(model_, state.target.digest);
    if (kept && target.action == wire::Action::revert) {
      FLEET_TRY(auto const release, wire::decode_release(*kept));
      if (release.model != model_) return Error{Kind::signature, "chains_disagree", fmt::format("the kept release is of model {}", release.model)};
      auto const members = check_kept_members(release);
      if (members || members.error().kind != Kind::not_found) return members ? check_floor(release, state.floor) : members;
    }
    auto const lines = this->lines();
    Interrupt::Watch const watch(interrupt_, [&] { lines->cancel(); });
    FLEET_TRY(auto const source, releases(*lines));
    FLEET_TRY(auto const turn, shop_.metadata.take(interrupt_.flag()));
    FLEET_TRY(auto const verified, fetch_release(context_.fs, *source, context_.trusted, context_.layout.release_metadata(), target));
    FLEET_CHECK(check_eligible(verified.release, context_.identity, state.floor, memory_bytes()));
    FLEET_CHECK(check_handler(verified.release, context_.config));
    FLEET_CHECK(ask(Verb::check, model_, state.target, verified.release, state.running.digest));
    FLEET_CHECK(check_members(*source, verified.release, state));
    keep_signed(*source, model_, state.target.digest);
    return context_.slots.save_release(model_, state.target.digest, verified.document);
  }();
  if (!checked && checked.error().code == "held") state.held = state.target.digest;
  if (!checked) return early_failure(std::move(state), target, checked.error());
  state.tries = 0;
  state.stalled = Millis{0};
  FLEET_CHECK(advance(std::move(state), Event::verified));
  return {};
}

/// A return that the server orders needs none: it undoes what was agreed to.
bool ModelUpdate::lacks_consent(ModelState const& state, Target const& target) const {
  auto const& asked = context_.config.update_lock.consent;
  auto const is_asked = [&](std::string const& model) { return std::find(asked.begin(), asked.end(), model) != asked.end(); };
  auto const members = members_of(shop_.wishes.told(), model_);
  bool const any = is_asked(model_) || std::any_of(members.begin(), members.end(), [&](Target const& one) { return is_asked(one.model); });
  if (target.action == wire::Action::revert || !any) return false;
  return state.consented != Refusal{state.target.digest, state.rollout, state.attempt};
}

/// The delay is counted by the monotonic clock and kept over restarts: a clock that is set must not cut it short.
Result<bool> ModelUpdate::is_locked(ModelState& state) {
  if (!shop_.lock.is_named()) return false;
  lock_ = shop_.lock.take();
  if (lock_) return false;
  if (!refused_since_) refused_since_ = now() - state.lock_delay;
  auto const delay = now() - *refused_since_;
  auto const most = context_.config.update_lock.max_delay;
  if (delay >= most) {
    log::warn("update_lock.passed_over", {{"model", model_}, {"after", fleet::to_string(most)}});
    return false;
  }
  look_again_in(std::min(kLookAgain, most - delay));
  if (delay - state.lock_delay >= kKeepDelayEvery) {
    state.lock_delay = delay;
    FLEET_CHECK(context_.journal.save(state));
  }
  return true;
}

/// To be loaded beside what runs; before the test by what the manifest says, and by what an earlier test of it had.
bool ModelUpdate::has_room(ModelState& state) const {
  auto const parts = parts_of(state);
  if (!parts) return true;  // its test tells what is lost
  std::uint64_t least = 0;
  bool any = false;
  for (auto const& part : *parts) {
    if (!loads_beside(state, part)) continue;
    any = true;
    least += part.release.manifest.match.memory_min_bytes;
  }
  state.memory_needed = any ? std::max(state.memory_needed, least) : 0;
  return !shop_.conditions.lacks_memory(state.memory_needed);
}

Result<void> ModelUpdate::wait_or_go_on(ModelState state, Target const& target) {
  auto why = lacks_consent(state, target) ? std::string("consent") : shop_.conditions.switch_blocked(target);
  if (why.empty()) {
    FLEET_TRY(bool const locked, is_locked(state));
    lock_.reset();  // its own programs may go on while it is tested
    if (locked) why = kUpdateLock;
  }
  if (why.empty() && !claim_members(state)) why = kMemberBusy;
  if (why.empty() && !state.proof && !has_room(state)) why = "memory";
  if (why.empty()) {
    auto go_on = Event::ready;
    if (state.proof) go_on = shop_.wishes.is_wanted(state, context_.trusted.now()) ? Event::undertaken : Event::withdrawn;
    FLEET_CHECK(advance(std::move(state), go_on));
    return {};
  }
  look_again_in(kLookAgain);
  if (state.waiting == why && state.state == State::waiting) return {};
  state.waiting = why;
  if (state.state == State::staged) {
    FLEET_CHECK(advance(std::move(state), Event::blocked));
    return {};
  }
  FLEET_CHECK(context_.journal.save(state));
  show(state);
  return {};
}

}  // namespace fleet::agent
