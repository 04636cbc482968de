#include "server/rollout/engine/windows.hpp"

#include "server/rollout/engine/ab.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::rollout {
namespace {

/// Beyond so many controls a window's control is as good as certain.
constexpr std::int64_t kControlsEnough = 9'000;
/// A window waits no longer for what its members measured.
constexpr Millis kSamplesMax = std::chrono::hours{1};
/// A test's first window where its policy names none: a twentieth of the release's arm, at least so many.
constexpr std::int64_t kTestWindow = 4, kTestWindows = 20;

}  // namespace

Steps steps_of(Setting const& setting, int stage, bool full) {
  if (full) return {setting.ladder.last(), setting.ladder.last()};
  auto const at = static_cast<std::size_t>(stage - 1);
  return {setting.ladder.stage_size.at(at), setting.ladder.stage_cap.at(at)};
}

std::int64_t count_at(Ladder const& ladder, int step) { return ladder.counts.empty() ? 0 : ladder.counts.at(static_cast<std::size_t>(step)); }

std::int64_t first_window(Policy const& policy, StageSpec const& spec, std::int64_t devices) {
  if (spec.window > 0) return spec.window;
  return policy.ab ? std::max(std::min(kTestWindow, devices), devices / kTestWindows) : devices;
}

std::int64_t beyond_plan(Setting const& setting, Standing const& standing, Facts const& facts) {
  auto const stage = std::max(standing.stage, 1);
  auto const size = [&](int of) { return of < 1 ? 0 : count_at(setting.ladder, steps_of(setting, of, false).size); };
  auto const window = first_window(setting.policy, setting.policy.stage(stage), size(stage) - size(stage - 1));
  return facts.parked + std::max({window, facts.healthy / 2, std::int64_t{1}});
}

void open_window(Setting const& setting, Progress& progress, int stage, bool full, Millis service) {
  auto const& spec = setting.policy.stage(stage);
  auto const [size, cap] = steps_of(setting, stage, full);
  auto const& ladder = setting.ladder;
  auto const have = count_at(ladder, progress.canaries);
  bool const whole = full || (spec.window == 0 && !setting.policy.ab);
  auto const wanted = whole ? count_at(ladder, std::max(size, progress.canaries)) - have
                            : std::llround(static_cast<double>(first_window(setting.policy, spec, count_at(ladder, size))) * std::pow(spec.grow, std::min(progress.in_stage, 60)));
  auto const limit = progress.canaries < size ? size : cap;  // the stage's size is met exactly; top-ups go beyond it
  auto const next = full ? ladder.last() : std::clamp(ladder.step_of(have + std::max<std::int64_t>(wanted, 1)), progress.canaries, std::max(limit, progress.canaries));
  if (progress.window > 0 && progress.judged && next == progress.canaries) return;  // a stage that adds nobody only waits
  progress.canaries = next;
  auto const now = count_at(ladder, progress.canaries), more = now - have;
  auto const controls = full || !setting.policy.compares() ? 0 : std::max(more, std::min(setting.policy.controls * more, kControlsEnough));
  progress.controls = setting.policy.ab ? beside_in_test(setting, progress.canaries) : std::max(ladder.step_of(now + controls), progress.canaries);
  if (progress.judged) ++progress.window;  // one that a verb caught open goes on, wider: what its devices come to is not lost
  ++progress.in_stage;
  progress.shut = progress.judged = false;
  progress.opened = service;
}

Cell sum_arm(WindowCounts const& window, std::size_t arm) {
  Cell out;
  for (auto const& [stratum, cells] : window) {
    out.started += cells[arm].started;
    out.undecided += cells[arm].undecided;
  }
  return out;
}

bool may_shut(Setting const& setting, Progress const& progress, Look const& look) {
  auto const& ladder = setting.ladder;
  auto const& facts = look.facts;
  auto const canaries = sum_arm(facts.window, 0).started, controls = sum_arm(facts.window, 1).started;
  auto const members = count_at(ladder, progress.canaries);
  auto const every = look.standing.full ? Millis{0} : setting.policy.stage(std::max(look.standing.stage, 1)).every;
  bool const all_told = facts.told + facts.left >= members && members > 0;
  // Where all its devices are offline it waits: going on would tell a sleeping fleet window by window, and all would start in the same morning.
  bool const reachable = facts.undispatched == 0 && (facts.offline == 0 || progress.canaries >= ladder.last());
  // Who was quarantined is told nothing: nobody knows how many of a window's these are.
  bool const time_is_up = !progress.quarantined.empty() && look.service >= progress.opened + every;
  bool const nobody_to_tell = every > Millis{0} ? all_told || time_is_up : reachable;
  // A window that nobody has started in stays open, unless nobody is left to: all run the release already, say.
  if (canaries == 0) return facts.told + facts.left > 0 && facts.undecided == 0 && nobody_to_tell;
  bool const all_canaries = all_told && facts.told + facts.left - facts.waiting >= members && facts.preparing + facts.undispatched == 0;
  bool const all_controls = setting.policy.ab ? facts.beside_told >= count_at(ladder, progress.controls) - count_at(ladder, ladder.stage_size.front())
                                              : controls >= count_at(ladder, progress.controls) - count_at(ladder, progress.canaries);
  if (all_canaries && all_controls) return true;
  if (every > Millis{0}) return look.service >= progress.opened + every / 2;
  return facts.preparing == 0 && facts.undispatched == 0;
}

bool is_complete(Facts const& facts) { return sum_arm(facts.window, 0).undecided + sum_arm(facts.window, 1).undecided == 0; }

WindowCounts counted(Progress const& progress, WindowCounts window) {
  for (auto const& stratum : progress.quarantined) window.erase(stratum);
  return window;
}

Millis samples_due(Facts const& facts) { return std::min(facts.samples_due, kSamplesMax); }

bool samples_came(Setting const& setting, Progress const& progress, Look const& look) {
  bool const asked = !setting.policy.metrics.empty() || setting.policy.drift;
  auto const due = samples_due(look.facts);
  return !asked || due <= Millis{0} || (progress.complete_since && look.service >= *progress.complete_since + due);
}

}  // namespace fleet::rollout
