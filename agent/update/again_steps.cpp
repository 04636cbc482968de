#include "agent/proof/own_reason.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

/// What runs, tested again: the world around a release changes, too.
namespace fleet::agent {
namespace {

constexpr int kStartsMax = 3;
constexpr Millis kOwnAgain = std::chrono::minutes{10};  ///< after an error of this device's own, or while the owner's lock is taken
constexpr std::string_view kFailure = "agent.golden_failure";

}  // namespace

void ModelUpdate::check_again() {
  due_ = kNever;
  auto state = this->state();
  if (interrupt_.is_raised() || !at_rest(state.state) || state.running.none() || state.unproven || context_.system.empty()) return;
  if (!know_standing(state) || !standing_.asks) return;
  auto const time = context_.trusted.now();
  if (state.checked.digest != state.running.digest) {  // it was proved at its switch
    state.checked = {state.running.digest, time, context_.system, {}, {}, 0};
    if (auto const saved = context_.journal.save(state); !saved) return log_failed("keep when it was tested", saved.error());
    show(state);
  }
  auto const since = std::max(Millis{0}, std::chrono::duration_cast<Millis>(time - state.checked.at));
  bool const is_time = standing_.again > Millis{0} && since >= standing_.again;
  if (!is_time && state.checked.system == context_.system) {
    if (standing_.again > Millis{0}) due_in(standing_.again - since);
    return;
  }
  due_in(kOwnAgain);
  // Not while the owner's programs are not to be disturbed: it takes the same processor. They may begin while it runs.
  bool const locked = shop_.lock.is_named() && !shop_.lock.take();
  if (locked || !begin_again(state)) return;
  auto const document = context_.slots.load_release(model_, state.running.digest);
  auto const release = document ? wire::decode_release(*document) : Result<wire::Release>(document.error());
  if (!release) return log_failed("test again", release.error());
  auto const found = check_what_runs(state, release->manifest);
  if (found) return conclude(std::move(state), *found);
  log_failed("test again", found.error());
  state.checked.starts = 0;
  if (auto const saved = context_.journal.save(state); !saved) return log_failed("keep when it was tested", saved.error());
  show(state);
}

/// Journalled before it begins: what takes the device down three times is not run a fourth time until its time comes again.
bool ModelUpdate::begin_again(ModelState& state) {
  auto& checked = state.checked;
  if (checked.starts >= kStartsMax) {
    conclude(std::move(state), {"interrupted", fmt::format("its golden test began {} times in a row and never ended: the device or its agent was stopped each time", kStartsMax), {}});
    return false;
  }
  ++checked.starts;
  auto const saved = context_.journal.save(state);
  if (!saved) log_failed("keep when it was tested", saved.error());
  return saved.has_value();
}

Result<wire::DeviceError> ModelUpdate::check_what_runs(ModelState const& state, wire::Manifest const& manifest) {
  if (!manifest.match.runtime.empty())
    if (auto const holds = check_runtime(manifest.match.runtime, context_.identity.reported); !holds) return wire::DeviceError{holds.error().code, holds.error().detail, {}};
  if (!manifest.golden) return wire::DeviceError{};
  std::vector<std::string> variants{{}};  // the hardware's own
  for (auto const& choice : standing_.choices) variants.push_back(choice.name);
  for (auto const& variant : variants) {
    auto const tested = proof::golden_test(bench().ground(), candidate_of(model_, state.running, variant), *manifest.golden);
    if (tested) continue;
    bool const is_own = tested.error().code == "interrupted" || !own_reason(tested.error()).empty();
    if (is_own) return tested.error();
    return fit_to_tell(told_of(tested.error()));
  }
  return wire::DeviceError{};
}

/// A change is an event. Nothing follows by itself: what runs has proved itself in the field, and whether to go back is for a person or a rollout to say.
void ModelUpdate::conclude(ModelState state, wire::DeviceError const& found) {
  // Told before it is written down: what is cut off in between is told twice, and not never.
  if (found.code != state.checked.code) {
    auto const name = model_ + "@" + state.running.version;
    bool const other_system = state.checked.system != context_.system;
    auto const why = !other_system ? std::string() : context_.system_changes.empty() ? std::string("; the system is another than at its last test") : "; " + context_.system_changes;
    note("golden_changed", found.code.empty() ? fmt::format("{} runs, and passes its golden test again{}", name, why)
                                              : fmt::format("{} runs, and fails its golden test now ({}): {}{}. It runs on: roll it back, or publish what fits", name, found.code, found.text, why));
  }
  state.checked = {state.running.digest, context_.trusted.now(), context_.system, found.code, found.text, 0};
  if (auto const saved = context_.journal.save(state); !saved) return log_failed("keep when it was tested", saved.error());
  if (standing_.again > Millis{0}) due_in(standing_.again);
  else due_ = kNever;
  context_.collector.tell(model_, state.running.digest, std::string(kFailure), found.code.empty() ? 0 : 1);
  log::info("golden.again", {{"model", model_}, {"version", state.running.version}, {"code", found.code}, {"text", found.text}});
  show(state);
}

}  // namespace fleet::agent
