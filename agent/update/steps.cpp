#include "agent/conditions/conditions.hpp"
#include "agent/update/runner.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr Millis kStep{100};
constexpr Millis kBackoffMax = std::chrono::minutes{10};
constexpr Millis kLookAgain{5'000};
constexpr std::string_view kWaits = "waits";
constexpr int kTestStartsMax = 3;
constexpr std::size_t kRefusalsMax = 16;
// States that people and the judge need to know of; the others pass in an instant.
constexpr std::array kTold{State::downloading, State::waiting, State::testing,     State::probation,
                           State::committed,   State::failed,  State::rolled_back, State::idle};

std::uint64_t memory_bytes() {
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? static_cast<std::uint64_t>(info.totalram) * info.mem_unit : 0;
}

/// Texts of programs and peers, made fit for journal and report: printable ASCII, cut at what the server takes.
wire::DeviceError fit_to_tell(wire::DeviceError error) {
  constexpr std::size_t kCodeMax = 64, kTextMax = 1000, kOutputMax = 4000;
  for (auto const& [text, most] : {std::pair{&error.code, kCodeMax}, std::pair{&error.text, kTextMax}, std::pair{&error.output, kOutputMax}}) {
    if (text->size() > most) text->erase(most);
    std::replace_if(
        text->begin(), text->end(), [](char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || static_cast<unsigned char>(c) > 0x7f; }, '?');
  }
  return error;
}

wire::DeviceError told_of(Error const& error) {
  return {error.code, error.detail, error.code.starts_with("golden") || error.code.starts_with("activate") ? error.hint : std::string()};
}

/// What the release itself says is final. Network, disk, and bytes that are not what was signed are none of its fault and may pass: a mirror
/// that lies must not make a device refuse the release for good.
bool may_pass(Error const& error) { return error.code != "ineligible" && error.code != "below_floor" && error.code != "bad_path"; }

/// The kept document of a release is gone or damaged, and stays so: waiting brings nothing. A disk that fails now may answer later.
bool is_lost(Error const& error) { return error.kind != Kind::io && error.kind != Kind::unavailable; }

/// From now on what runs is the target, and what ran is the version before: what a way back goes by.
void shift_versions(ModelState& state) {
  if (state.running == state.target) return;
  state.older = state.previous;
  state.previous = state.running;
  state.running = state.target;
}

}  // namespace

Result<ModelState> Runner::advance(ModelState state, Event event, wire::DeviceError error) {
  auto const next = next_state(state.state, event);
  if (!next)
    return Error{Kind::internal, "stray_event",
                 fmt::format("model {}: event {} means nothing in state {}", state.model, static_cast<int>(event), to_string(state.state))};
  log::info("update", {{"model", state.model}, {"version", state.target.version}, {"from", to_string(state.state)}, {"to", to_string(*next)}});
  state.state = *next;
  state.since = context_.trusted.now();
  if (event == Event::directed) state.error = {};
  if (!error.code.empty()) state.error = fit_to_tell(std::move(error));
  if (*next != State::waiting) state.waiting.clear();
  FLEET_CHECK(context_.journal.save(state));
  report(state);
  return state;
}

void Runner::show(ModelState const& state) {
  if (!state.running.none()) context_.collector.running(state.model, state.running.digest);
  std::lock_guard const lock(mutex_);
  shown_.insert_or_assign(state.model, state);
}

void Runner::report(ModelState const& state) {
  show(state);
  if (std::find(kTold.begin(), kTold.end(), state.state) == kTold.end()) return;
  wire::ReportItem item;
  item.update = wire::UpdateItem{context_.trusted.now(),
                                 state.model,
                                 state.target.version,
                                 state.target.digest,
                                 state.rollout,
                                 state.attempt,
                                 std::string(to_string(state.state)),
                                 state.running.version,
                                 state.running.digest,
                                 state.error};
  if (auto const added = context_.spool->add(std::move(item)); !added) log::error("report.lost", {{"model", state.model}, {"error", added.error().detail}});
}

Result<ModelState> Runner::fail(ModelState state, wire::DeviceError error) {
  state.refusals.push_back({state.target.digest, state.rollout, state.attempt});
  if (state.refusals.size() > kRefusalsMax) state.refusals.erase(state.refusals.begin());
  return advance(std::move(state), Event::failed, std::move(error));
}

Result<void> Runner::early_failure(ModelState state, Target const& target, Error const& error) {
  if (context_.stop || error.code == "cancelled") return {};  // somebody's wish, no failure
  state.tries += 1;
  log::warn("update.try_failed", {{"model", state.model}, {"try", state.tries}, {"code", error.code}, {"error", error.detail}});
  if (!may_pass(error) || state.tries >= std::max(1, target.conditions.attempts)) {
    FLEET_CHECK(fail(std::move(state), told_of(error)));
    return {};
  }
  state.error = fit_to_tell(told_of(error));
  FLEET_CHECK(context_.journal.save(state));
  show(state);
  auto const backoff = std::min<double>(static_cast<double>(kBackoffMax.count()), 1000.0 * static_cast<double>(1ULL << std::min(state.tries, 20)));
  retry_at_[state.model] =
      context_.clock.mono() + std::max(remote_.retry_after(), Millis{static_cast<std::int64_t>(backoff * (0.5 + context_.random.uniform()))});
  return {};
}

Result<wire::Release> Runner::release_of(ModelState const& state) const {
  auto const& digest = state.target.none() ? state.running.digest : state.target.digest;
  FLEET_TRY(auto const document, context_.slots.load_release(state.model, digest));
  return wire::decode_release(document);
}

Result<std::optional<wire::Release>> Runner::release_or_fail(ModelState const& state) {
  auto release = release_of(state);
  if (release) return std::optional(*std::move(release));
  if (!is_lost(release.error())) return release.error();
  auto failing = state;
  // The link may point at the target already, from before a kill: it goes back as from a version that runs.
  if (failing.state == State::switching) shift_versions(failing);
  FLEET_CHECK(fail(std::move(failing), {"release_lost", release.error().detail, {}}));
  return std::optional<wire::Release>{};
}

Bench Runner::bench() const { return {context_.fs, context_.clock, context_.config, context_.collector, context_.stop}; }

Candidate Runner::candidate_of(ModelState const& state) const {
  return {state.model,
          state.target.version,
          state.target.digest,
          context_.slots.slot(state.model, state.target.digest),
          context_.slots.scratch(state.model),
          context_.layout.statsd_socket()};
}

/// Past `act_before` only a new directive starts or switches anything; the link asks for one in time.
bool Runner::may_act() const {
  std::lock_guard const lock(mutex_);
  return context_.trusted.now() < told_.act_before;
}

bool Runner::still_wanted(ModelState const& state) const {
  if (!may_act()) return false;
  std::lock_guard const lock(mutex_);
  return std::any_of(told_.targets.begin(), told_.targets.end(),
                     [&](Target const& one) { return one.model == state.model && digest_of(one) == state.target.digest; });
}

/// For what `current` points at now; once it is gone, for what it pointed at.
void Runner::run_hook(std::vector<std::string> const& words, ModelState const& state) {
  if (words.empty()) return;
  auto about = state;
  if (!state.running.none()) about.target = state.running;
  if (auto const ran = run_program(bench(), candidate_of(about), words, "hook_failed"); !ran)
    log::warn("hook.failed", {{"model", state.model}, {"error", ran.error().detail}});
}

Result<void> Runner::check(ModelState state, Target const& target) {
  auto const checked = [&]() -> Result<void> {
    // A version that ran here before and is whole needs no network and no fresh metadata: expiry governs what is adopted, not what is kept.
    auto const kept = context_.slots.load_release(state.model, state.target.digest);
    if (kept && target.action == wire::Action::revert) {
      FLEET_TRY(auto const release, wire::decode_release(*kept));
      if (release.model != state.model) return Error{Kind::signature, "chains_disagree", fmt::format("the kept release is of model {}", release.model)};
      return check_floor(release, state.floor);
    }
    FLEET_TRY(auto const verified, fetch_release(context_.fs, remote_, context_.trusted, context_.layout.release_metadata(), target));
    FLEET_CHECK(check_eligible(verified.release, context_.identity, state.floor, memory_bytes()));
    return context_.slots.save_release(state.model, state.target.digest, verified.document);
  }();
  if (!checked) return early_failure(std::move(state), target, checked.error());
  FLEET_CHECK(advance(std::move(state), Event::verified));
  return {};
}

Result<void> Runner::fetch(ModelState state, Target const& target) {
  auto const fetched = [&]() -> Result<void> {
    FLEET_TRY(auto const release, release_of(state));
    auto const* const variant = wire::find_variant(release, context_.identity.hardware);
    if (variant == nullptr) return Error{Kind::unprocessable, "ineligible", fmt::format("no variant for hardware {}", context_.identity.hardware)};
    FLEET_TRY(bool const whole, context_.slots.is_whole(state.model, state.target.digest, *variant));
    if (whole) return {};
    return fetch_files(state, target, *variant);
  }();
  if (!fetched && fetched.error().code == kWaits) return {};
  if (!fetched) return early_failure(std::move(state), target, fetched.error());
  FLEET_CHECK(advance(std::move(state), Event::fetched));
  return {};
}

Result<void> Runner::fetch_files(ModelState& state, Target const& target, wire::Variant const& variant) {
  std::uint64_t bytes = 0;
  for (auto const& file : variant.files) bytes += file.size;
  auto why = download_blocked(context_, target, bytes);
  if (why.empty() && throttle_.is_spent()) why = "budget";
  FLEET_CHECK(wait_because(state, why));
  std::vector<std::string> sources;
  {
    std::lock_guard const lock(mutex_);
    sources = sources_;
    fetching_ = state;
  }
  auto const running = state.running.none() ? std::string() : context_.slots.slot(state.model, state.running.digest);
  DownloadPlan const plan{state.model, state.target.digest, variant, sources, running};
  auto const fetched = download(context_.fs, context_.slots, remote_, throttle_, plan, context_.stop);
  {
    std::lock_guard const lock(mutex_);
    fetching_.reset();
  }
  if (!fetched && fetched.error().code == "over_budget") return wait_because(state, "budget");
  FLEET_CHECK(fetched);
  return context_.slots.install(state.model, state.target.digest, variant);
}

/// Tells the reason once; a wait is no failure and costs no attempt.
Result<void> Runner::wait_because(ModelState& state, std::string const& why) {
  if (state.waiting != why) {
    state.waiting = why;
    FLEET_CHECK(context_.journal.save(state));
    report(state);
  }
  if (why.empty()) return {};
  retry_at_[state.model] = context_.clock.mono() + kLookAgain;
  return Error{Kind::unavailable, std::string(kWaits), why};
}

Result<void> Runner::wait_or_test(ModelState state, Target const& target) {
  auto const why = switch_blocked(context_, target);
  if (why.empty()) {
    state.tries = 0;
    FLEET_CHECK(advance(std::move(state), Event::ready));
    return {};
  }
  retry_at_[state.model] = context_.clock.mono() + std::chrono::seconds{1};
  if (state.waiting == why && state.state == State::waiting) return {};
  state.waiting = why;
  if (state.state == State::staged) {
    FLEET_CHECK(advance(std::move(state), Event::blocked));
    return {};
  }
  FLEET_CHECK(context_.journal.save(state));
  report(state);
  return {};
}

Result<void> Runner::test(ModelState state) {
  // Counted before it runs: a test that takes the whole device down must not be started for ever.
  state.tries += 1;
  FLEET_CHECK(context_.journal.save(state));
  if (state.tries > kTestStartsMax) {
    FLEET_CHECK(fail(std::move(state), {"golden_interrupted", fmt::format("the golden test was started {} times and never ended", kTestStartsMax), {}}));
    return {};
  }
  FLEET_TRY(auto const release, release_or_fail(state));
  if (!release) return {};
  if (auto const& golden = release->manifest.golden) {
    FLEET_CHECK(context_.slots.make_scratch(state.model));
    auto const passed = golden_test(bench(), candidate_of(state), *golden);
    if (!passed && passed.error().code == "interrupted") return passed;
    if (!passed) {
      FLEET_CHECK(fail(std::move(state), told_of(passed.error())));
      return {};
    }
  }
  if (!still_wanted(state)) {
    FLEET_CHECK(advance(std::move(state), Event::withdrawn));
    return {};
  }
  FLEET_CHECK(advance(std::move(state), Event::passed));
  return {};
}

Result<void> Runner::switch_over(ModelState state) {
  FLEET_TRY(auto const release, release_or_fail(state));
  if (!release) return {};
  FLEET_CHECK(context_.slots.switch_to(state.model, state.target.digest));
  shift_versions(state);
  context_.collector.running(state.model, state.running.digest);
  run_hook(context_.config.switched_hook, state);
  if (!release->manifest.activate.empty()) {
    auto const activated = run_program(bench(), candidate_of(state), release->manifest.activate, "activate_failed");
    if (!activated && activated.error().code == "interrupted") return activated;
    if (!activated) {
      FLEET_CHECK(fail(std::move(state), told_of(activated.error())));
      return {};
    }
  }
  FLEET_CHECK(advance(std::move(state), Event::switched));
  return {};
}

Result<void> Runner::prove(ModelState state) {
  FLEET_TRY(auto const release, release_or_fail(state));
  if (!release) return {};
  FLEET_CHECK(context_.slots.make_scratch(state.model));
  ProbationRun run(bench(), candidate_of(state), release->manifest);
  for (;;) {
    auto const verdict = run.step();
    if (verdict == ProbationRun::Verdict::failed) {
      FLEET_CHECK(fail(std::move(state), run.error()));
      return {};
    }
    if (verdict == ProbationRun::Verdict::healthy) break;
    if (context_.stop) return {};
    ::poll(nullptr, 0, static_cast<int>(kStep.count()));
    std::lock_guard const lock(mutex_);
    auto const back =
        std::any_of(told_.targets.begin(), told_.targets.end(), [&](Target const& one) { return one.model == state.model && is_way_back(one, state); });
    if (back || !orders_.empty()) return {};  // the loop obeys; probation starts anew if it goes on
  }
  state.floor = std::max(state.floor, release->manifest.security_floor);
  state.older = {};
  FLEET_TRY(auto const committed, advance(std::move(state), Event::healthy));
  return context_.slots.collect(committed.model, {committed.running.digest, committed.previous.digest});
}

/// Local and immediate. Without a version before, `current` is taken away and the app is told.
Result<void> Runner::go_back(ModelState state) {
  if (state.previous.none()) {
    FLEET_CHECK(context_.slots.remove_current(state.model));
    run_hook(context_.config.removed_hook, state);
  } else {
    FLEET_CHECK(context_.slots.switch_to(state.model, state.previous.digest));
  }
  bool const back = !state.previous.none();
  state.running = state.previous;
  state.previous = state.older;
  state.older = {};
  if (back) run_hook(context_.config.switched_hook, state);
  FLEET_CHECK(advance(std::move(state), Event::returned));
  return {};
}

}  // namespace fleet::agent
