#include "server/rollout/engine/ab.hpp"

#include "server/rollout/engine/windows.hpp"
#include "server/rollout/gates/mirror.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fleet::rollout {

int beside_in_test(Setting const& setting, int canaries) {
  auto const& ladder = setting.ladder;
  auto const split = ladder.stage_size.front();
  auto const arm = count_at(ladder, split), told = count_at(ladder, canaries);
  if (canaries >= split) return ladder.last();
  return ladder.step_of(arm + std::llround(static_cast<double>(ladder.reach() - arm) * static_cast<double>(told) / static_cast<double>(arm)));
}

double planned_share(Setting const& setting) {
  if (!setting.policy.ab || setting.ladder.reach() == 0) return 0;
  return static_cast<double>(count_at(setting.ladder, setting.ladder.stage_size.front())) / static_cast<double>(setting.ladder.reach());
}

Millis ripe_at(Setting const& setting, Progress const& progress) { return setting.policy.ab ? progress.opened + setting.policy.stages.front().bake : Millis{0}; }

GateVerdict const* win_of(Verdict const& verdict, std::string_view gate) {
  auto const found = std::find_if(verdict.gates.begin(), verdict.gates.end(),
                                  [&](GateVerdict const& one) { return one.test == "win" && (gate.empty() ? one.decision == Ruling::promote : one.name == gate); });
  return found == verdict.gates.end() ? nullptr : &*found;
}

std::string won_text(std::string_view release, GateVerdict const& by) { return fmt::format("{} won: {}; E = {:.3g}", release, by.text, by.e_value); }

std::string no_winner_text(Setting const& setting, Progress const& progress) {
  return fmt::format("no winner: {} devices on {} beside {} on {} show no difference", progress.folded.canaries, setting.release, progress.folded.controls,
                     setting.policy.ab->against);
}

std::string name_winner(Setting const& setting, Progress& progress, Verdict const& verdict, GateVerdict const& harm) {
  if (!tells_worse(harm)) return harm.text;
  auto const* const other = win_of(verdict, harm.name);
  bool const won = other == nullptr || other->decision != Ruling::promote;
  progress.winner = won ? Winner::b : Winner::none;
  return won ? won_text(setting.policy.ab->against, harm) : fmt::format("no winner: {}", harm.text);
}

void end_test(Progress& progress, Verdict& verdict, Winner winner, std::string why) {
  progress.winner = winner;
  verdict.decision = Ruling::promote;
  verdict.event = Event::complete;
  verdict.reason = std::move(why);
  verdict.told_anew = true;
}

}  // namespace fleet::rollout
