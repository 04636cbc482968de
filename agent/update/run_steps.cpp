#include "agent/handlers/handler.hpp"
#include "agent/proof/own_reason.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr int kStartsMax = 3;
constexpr Millis kKeepTimeEvery = std::chrono::minutes{1};
constexpr std::size_t kRefusalsMax = 16;
// States that people and the judge need to know of; the others pass in an instant.
constexpr std::array kTold{State::downloading, State::waiting, State::testing, State::probation, State::committed, State::failed,
                           State::rolled_back, State::idle,    State::proving, State::proved,    State::ineligible};

/// The kept document of a release is gone or damaged, and stays so: waiting brings nothing. A disk that fails now may answer later.
bool is_lost(Error const& error) { return error.kind != Kind::io && error.kind != Kind::unavailable; }

/// Errors whose hint is what a program said.
constexpr auto kWithOutput = std::to_array<std::string_view>({"golden", "shadow", "activate", "install_failed", "switch_failed", "commit_failed", "rollback_failed"});

/// What was told of a step that went wrong is over when the next is reached.
constexpr std::array kOnward{Event::verified, Event::fetched, Event::ready, Event::passed, Event::switched, Event::healthy, Event::undertaken};

/// From now on what runs is the target, and what ran is the version before: what a way back goes by. A version that was never proved is none.
void shift_versions(ModelState& state) {
  if (state.running == state.target) return;
  if (!state.unproven) {
    state.older = state.previous;
    state.previous = state.running;
  }
  state.unproven.reset();
  state.running = state.target;
}

bool was_told(std::optional<wire::UpdateItem> const& last, ModelState const& state) {
  return last && last->state == to_string(state.state) && last->digest == state.target.digest && last->rollout == state.rollout &&
         last->attempt == state.attempt && last->running_digest == state.running.digest && last->error.code == state.error.code;
}

std::string_view step_of(State state) {
  if (state == State::testing) return "the golden test";
  if (state == State::proving) return "the proof";
  return state == State::switching ? "the switch" : "the probation";
}

}  // namespace

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
  bool const is_output = error.kind == Kind::unprocessable && std::any_of(kWithOutput.begin(), kWithOutput.end(), [&](auto what) { return error.code.starts_with(what); });
  return {error.code, error.detail, is_output ? error.hint : std::string()};
}

Result<ModelState> ModelUpdate::advance(ModelState state, Event event, wire::DeviceError error) {
  auto const next = next_state(state.state, event);
  if (!next)
    return Error{Kind::internal, "stray_event",
                 fmt::format("model {}: event {} means nothing in state {}", model_, static_cast<int>(event), to_string(state.state))};
  log::info("update", {{"model", model_}, {"version", state.target.version}, {"from", to_string(state.state)}, {"to", to_string(*next)}});
  if (at_rest(state.state) && !at_rest(*next)) state.proof = event == Event::asked;
  if (at_rest(state.state) || at_rest(*next)) {
    state.lock_delay = Millis{0};
    refused_since_.reset();
  }
  if (*next != State::switching && *next != State::rolling_back) lock_.reset();
  counted_ = false;
  state.state = *next;
  state.since = context_.trusted.now();
  state.run = {};
  if (event == Event::directed || std::find(kOnward.begin(), kOnward.end(), event) != kOnward.end()) state.error = {};
  if (!error.code.empty()) state.error = fit_to_tell(std::move(error));
  if (*next != State::waiting) state.waiting.clear();
  if (event == Event::switched || event == Event::returned) state.variant.clear();
  if (*next != State::probation && *next != State::proving) probation_.reset();
  auto const members = at_rest(*next) ? member_models(state) : std::vector<std::string>{};
  prune_records(state);
  FLEET_CHECK(context_.journal.save(state));
  backoff_ = 0;
  report(state);
  if (at_rest(*next)) give_back(state, kept_by_owner());
  for (auto const& model : members) give_back(context_.journal.state(model), kept_by_owner());
  if (event == Event::switched || event == Event::returned) wake_sets();
  return state;
}

void ModelUpdate::show(ModelState const& state) {
  measure(state.model, state.running.digest);
  shop_.wishes.show(state);
}

void ModelUpdate::measure(std::string const& model, std::string const& digest) {
  if (!context_.collector.running(model, digest)) return;
  auto const document = context_.slots.load_release(model, digest);
  if (!document) return;
  if (auto release = wire::decode_release(*document)) context_.collector.declare(digest, std::move(release->manifest.schema));
}

void ModelUpdate::report(ModelState const& state) {
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

/// What `current` points at runs and is kept, whatever a journal that is damaged or gone has of it. A state whose transition was journalled and not
/// spooled is told now.
void ModelUpdate::settle() {
  auto state = this->state();
  auto const current = context_.slots.current(model_);
  if (shop_.claims.is_others(model_, model_)) return show(state);  // its set, which was cut off, settles it
  // While switching and rolling back the link may be ahead of the journal: those steps are taken again.
  // So it may be in the probation of the agent's own program: who starts it went back.
  bool const may_differ =
      !context_.journal_damaged && (state.state == State::switching || state.state == State::rolling_back || (is_own() && state.state == State::probation));
  if (current && *current != state.running.digest && !may_differ) {
    log::warn("journal.rebuilt", {{"model", model_}, {"journal", state.running.digest}, {"current", *current}});
    state.previous = state.running;
    state.running = state.target = {*current, {}};
    if (auto const release = release_of(state)) state.running.version = state.target.version = release->version;
    state.state = current->empty() ? State::idle : State::committed;
    state.error = {};
    state.unproven.reset();
    if (auto const saved = context_.journal.save(state); !saved) return log_failed("rebuild", saved.error());
  }
  if (current && (*current == state.running.digest || may_differ)) give_back(state, kept_by_owner());
  if (!context_.journal.models().contains(model_)) return;
  settle_installed();
  settle_own();
  state = this->state();
  if (was_told(context_.spool->last_update(model_), state)) show(state);
  else report(state);
}

Result<ModelState> ModelUpdate::fail(ModelState state, wire::DeviceError error) {
  Refusal const end{state.target.digest, state.rollout, state.attempt};
  if (state.proof) {  // of what runs: it stays, and nothing is held against it
    state.proof_done = end;
    return advance(std::move(state), Event::failed, std::move(error));
  }
  state.refusals.push_back(end);
  if (state.refusals.size() > kRefusalsMax) state.refusals.erase(state.refusals.begin());
  return advance(settled(std::move(state)), Event::failed, std::move(error));
}

ModelState ModelUpdate::settled(ModelState state) const {
  if (state.state == State::switching) shift_versions(state);
  return state;
}

Millis ModelUpdate::time_left(Millis timeout, Millis of_all, ModelState const& state) { return std::clamp(kStartsMax * of_all - state.run.spent, Millis{1}, timeout); }

Result<bool> ModelUpdate::start(ModelState& state) {
  if (counted_) return true;
  if (state.run.starts >= kStartsMax) {
    auto text = fmt::format("{} of {} began {} times in a row and never ended: the device or its agent was stopped each time", step_of(state.state),
                            state.target.version, kStartsMax);
    FLEET_CHECK(fail(std::move(state), {"interrupted", std::move(text), {}}));
    return false;
  }
  state.run.starts += 1;
  FLEET_CHECK(context_.journal.save(state));
  counted_ = true;
  return true;
}

Result<void> ModelUpdate::pause(ModelState state, Millis spent) {
  counted_ = false;
  state.run.starts = 0;
  state.run.spent += spent;
  FLEET_CHECK(context_.journal.save(state));
  return Error{Kind::unavailable, "interrupted", "something else is wanted meanwhile"};
}

Result<wire::Release> ModelUpdate::release_of(ModelState const& state) const {
  auto const& digest = state.target.none() ? state.running.digest : state.target.digest;
  FLEET_TRY(auto const document, context_.slots.load_release(model_, digest));
  return wire::decode_release(document);
}

Result<std::vector<Part>> ModelUpdate::parts_of(ModelState const& state) const {
  return load_parts(context_.slots, model_, state.target.none() ? state.running : state.target, context_.identity.hardware);
}

Result<std::optional<std::vector<Part>>> ModelUpdate::parts_or_fail(ModelState const& state) {
  auto parts = parts_of(state);
  if (parts) return std::optional(*std::move(parts));
  if (!is_lost(parts.error())) return parts.error();
  FLEET_CHECK(fail(state, {"release_lost", parts.error().detail, {}}));
  return std::optional<std::vector<Part>>{};
}

Bench ModelUpdate::bench() { return {context_.fs, context_.clock, context_.waits, context_.config, context_.collector, interrupt_, context_.outside.run}; }

proof::Candidate ModelUpdate::candidate_of(std::string const& model, Version const& version, std::string const& variant) const {
  return {model,          version.version, version.digest, context_.slots.slot(model, slot_name(version.digest, variant)), context_.slots.scratch(model), context_.layout.statsd_socket(),
          variant};
}

void ModelUpdate::run_hook(std::vector<std::string> const& words, std::string const& model, Version const& version, std::string const& variant) {
  if (words.empty()) return;
  if (auto const ran = run_program(bench(), candidate_of(model, version, variant), words, "hook_failed"); !ran)
    log::warn("hook.failed", {{"model", model}, {"error", ran.error().detail}});
}

/// Before the link leads there: once it does, the way back is another one's.
Result<void> ModelUpdate::check_unchanged(Part const& part) const {
  FLEET_TRY(auto const current, context_.slots.current(part.model));
  auto const* const variant = wire::find_variant(part.release, context_.identity.hardware);
  if (current == part.version.digest || variant == nullptr) return {};
  auto const contents = contents_of(context_.slots, part.model, part.version.digest, part.release, *variant);
  if (!contents) return Error{Kind::unprocessable, "digest_mismatch", fmt::format("{}: what was unpacked of {} is not known any more", part.model, part.version.version)};
  return context_.slots.check_unchanged(part.model, part.version.digest, *contents, &interrupt_.flag());
}

Result<void> ModelUpdate::switch_over(ModelState state) {
  FLEET_TRY(auto const parts, parts_or_fail(state));
  if (!parts) return {};
  // Whatever ran since the files were checked, the release's own test too, may have touched them.
  for (auto const& part : *parts) {
    auto const same = check_unchanged(part);
    if (same) continue;
    if (same.error().kind != Kind::unprocessable) return same;
    FLEET_CHECK(fail(std::move(state), about(part, {"files_changed", same.error().detail, {}})));
    return {};
  }
  FLEET_TRY(bool const may_start, start(state));
  if (!may_start) return {};
  auto const switched = settled(state);
  auto const began = now();
  Millis of_all{0};
  for (auto const& part : *parts) of_all += part.release.manifest.activate_timeout;
  for (auto const& part : *parts) {
    if (is_own()) FLEET_CHECK(begin_trial(state, part));
    FLEET_TRY(bool const moved, switch_part(state, part));
    lock_.reset();  // what hooks and activation call may want it
    if (!moved) continue;
    auto const installed = ask(Verb::switch_to, part.model, part.version, part.release, ran_before(state, part));
    if (!installed && installed.error().code == "interrupted") return pause(std::move(state), now() - began);
    bool const waits = !installed && (installed.error().code == kInstallerBusy || (parts->size() == 1 && !own_reason(installed.error()).empty()));
    if (waits) return wait_for_own(std::move(state), installed.error());
    if (!installed) {
      FLEET_CHECK(fail(std::move(state), about(part, told_of(installed.error()))));
      return {};
    }
    run_hook(context_.config.switched_hook, part.model, part.version);
    if (interrupt_.is_raised()) return pause(std::move(state), now() - began);
    auto const& activate = part.release.manifest.activate;
    if (activate.empty()) continue;
    auto const activated = run_program(bench(), candidate_of(part), activate, "activate_failed", time_left(part.release.manifest.activate_timeout, of_all, state));
    // A set does not stand between two of its members until somebody mends the device.
    if (!activated && parts->size() == 1 && !own_reason(activated.error()).empty()) return wait_for_own(std::move(state), activated.error());
    if (!activated && activated.error().code != "interrupted") {
      FLEET_CHECK(fail(std::move(state), about(part, told_of(activated.error()))));
      return {};
    }
    if (interrupt_.is_raised()) return pause(std::move(state), now() - began);
  }
  FLEET_CHECK(advance(switched, Event::switched));
  return {};
}

/// One look at the probation, or at the proof of what runs; its time and inferences count on over restarts.
Result<void> ModelUpdate::prove(ModelState state) {
  if (is_own() && gives_way_to_current()) return {};
  if (is_another_program(state)) {
    auto const other = *runs_instead(state);
    return fall_back(std::move(state), other);
  }
  if (!probation_) {
    FLEET_TRY(auto parts, parts_or_fail(state));
    if (!parts) return {};
    if (is_own()) own_rules_ = own_probation(parts->front().release.manifest);
    auto const watched = [](Part const& part) { return part.release.manifest.probation.has_value(); };
    if (std::any_of(parts->begin(), parts->end(), watched)) {
      FLEET_TRY(bool const may_start, start(state));
      if (!may_start) return {};
    }
    probation_.emplace();
    std::size_t at = 0;
    for (auto const& part : *parts) {
      if (!watched(part)) continue;
      auto const counted = at < state.run.inferences.size() ? state.run.inferences[at] : 0;
      ++at;
      probation_->add(is_member(part) ? part.model + "@" + part.version.version : std::string(),
                      ProbationRun(bench(), candidate_of(part), part.release.manifest, ProbationSoFar{state.run.spent, counted}));
    }
    kept_ = now();
  }
  auto verdict = probation_->step();
  if (verdict == JointProbation::Verdict::failed) {
    FLEET_CHECK(fail(std::move(state), probation_->error()));
    return {};
  }
  if (verdict == JointProbation::Verdict::healthy && is_own() && shop_.contact.times() == 0) {  // it must reach its server, too
    if (auto const most = longest_probation(own_rules_); probation_->spent() >= most) {
      auto text = fmt::format("{} did not reach its server within {}", state.running.version, fleet::to_string(most));
      FLEET_CHECK(fail(std::move(state), {"no_contact", std::move(text), {}}));
      return {};
    }
    verdict = JointProbation::Verdict::pending;
  }
  if (verdict == JointProbation::Verdict::healthy) return state.proof ? end_proof(std::move(state)) : commit(std::move(state));
  look_again_in(probation_->next_step(now()) - now());
  if (auto const waits = probation_->waits_for(); waits != state.waiting) {
    state.waiting = waits;
    FLEET_CHECK(context_.journal.save(state));
    show(state);
  }
  if (now() - kept_ < kKeepTimeEvery) return {};
  kept_ = now();
  state.run.spent = probation_->spent();
  state.run.inferences = probation_->inferences();
  return context_.journal.save(state);
}

void ModelUpdate::stop() {
  if (!probation_) return;
  auto state = this->state();
  state.run = {0, probation_->spent(), probation_->inferences()};
  probation_.reset();
  if (auto const kept = context_.journal.save(state); !kept) log_failed("keep the time of the probation", kept.error());
}

}  // namespace fleet::agent
