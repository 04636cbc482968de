#include "server/rollout/engine/step.hpp"

#include "server/rollout/engine/ab.hpp"
#include "server/rollout/engine/windows.hpp"
#include "server/rollout/gates/compared.hpp"
#include "server/rollout/gates/metrics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace fleet::rollout {
namespace {

/// So many strata that were quarantined halt the rollout.
constexpr std::size_t kStrataHalt = 2;
/// Devices that start after the last window was shut are judged together with those of so long a time at least: each window costs a round of proofs.
constexpr Millis kStragglers = std::chrono::minutes{15};

/// One step in the making.
struct Stepping {
  Setting const& setting;
  Look const& look;
  Progress progress = {};
  Verdict verdict = {};

  [[nodiscard]] Standing const& standing() const { return look.standing; }
  [[nodiscard]] Facts const& facts() const { return look.facts; }
  [[nodiscard]] StageSpec const& stage() const { return setting.policy.stage(std::max(standing().stage, 1)); }
  [[nodiscard]] bool is_last() const { return standing().stage >= setting.policy.stage_count(); }
};

/// A stratum that is ill by itself gets no more canaries, and the others are judged without it. To be asked before the whole is judged. A test ends as a whole.
void quarantine(Stepping& s) {
  auto& progress = s.progress;
  if (!s.setting.policy.compares() || s.setting.policy.ab) return;
  while (auto const stratum = ill_stratum(s.setting.policy, progress.folded)) {
    progress.quarantined.insert(*stratum);
    leave_out(progress.folded, *stratum);
    s.verdict.told_anew = true;
  }
}

/// Shuts the open window, and takes it in when all who started in it have an outcome.
void follow_window(Stepping& s) {
  auto& progress = s.progress;
  if (progress.judged || s.verdict.told_anew) return;  // one that opened in this step: what is known is of before
  if (!progress.shut && may_shut(s.setting, progress, s.look)) progress.shut = true;
  if (!progress.shut || !is_complete(s.facts()) || s.look.service < ripe_at(s.setting, progress)) return;
  if (!progress.complete_since) progress.complete_since = s.look.service;
  if (!samples_came(s.setting, progress, s.look)) {
    s.verdict.look_at = *progress.complete_since + samples_due(s.facts());
    return;
  }
  auto const window = counted(progress, s.facts().window);
  fold(progress.folded, window);
  fold_measured(progress.folded, s.setting.policy, window, s.facts().measured);
  progress.folded.install_failed += s.facts().install_failed - progress.installs_seen;
  progress.installs_seen = s.facts().install_failed;
  progress.complete_since.reset();
  progress.judged = true;
  s.verdict.closed_window = true;
  quarantine(s);
}

/// A verb started the rollout, promoted it, or resumed it: what it said takes effect now.
void enter_what_was_said(Stepping& s) {
  auto& progress = s.progress;
  bool const runs = s.standing().state == State::running;
  auto const stage = std::max(s.standing().stage, 1);
  if (runs && (progress.window == 0 || progress.stage != stage || (s.standing().full && !progress.full))) {
    progress = enter(s.setting, std::move(progress), stage, s.standing().full, s.look.service);
    s.verdict.told_anew = s.verdict.entered = true;
  } else if (runs && !progress.stage_since) {
    progress.stage_since = s.look.service;
    auto const limit = s.stage().deadline;
    progress.deadline = limit > Millis{0} && !progress.full ? std::optional(s.look.service + limit) : std::nullopt;
    s.verdict.entered = true;
  }
}

void latch_trips(Verdict& verdict) {
  for (auto const& gate : verdict.gates)
    if (gate.test == "harm" && gate.decision != Ruling::hold && gate.decision != Ruling::promote) {
      auto const bad = static_cast<std::int64_t>(gate.evidence.front().second);
      auto const [latch, fresh] = verdict.latches.try_emplace(gate.name, Latch{bad, gate.e_value, false});
      if (!fresh && latch->second.accepted) latch->second = {bad, gate.e_value, false};
    }
}

/// Decides on harm; true when it did. What takes back stands before what pauses.
bool ruled_by_harm(Stepping& s) {
  GateVerdict const* worst = nullptr;
  for (auto const& gate : s.verdict.gates)
    if (gate.test == "harm" && gate.decision != Ruling::hold && (worst == nullptr || (gate.decision == Ruling::rollback && worst->decision == Ruling::pause))) worst = &gate;
  auto ruling = worst == nullptr ? Ruling::hold : worst->decision;
  auto reason = worst == nullptr ? std::string() : worst->text;
  if (worst == nullptr && s.progress.quarantined.size() >= kStrataHalt) {
    ruling = s.setting.policy.on_harm == OnHarm::rollback ? Ruling::rollback : Ruling::pause;
    reason = fmt::format("strata {} have each shown harm by themselves", fmt::join(s.progress.quarantined, ", "));
  }
  if (ruling == Ruling::hold) return false;
  if (worst != nullptr && s.setting.policy.ab) reason = name_winner(s.setting, s.progress, s.verdict, *worst);
  auto const event = ruling == Ruling::rollback ? Event::roll_back : Event::pause;
  s.verdict.decision = ruling;
  s.verdict.reason = std::move(reason);
  if (next_state(s.standing().state, event)) s.verdict.event = event;
  return true;
}

/// Why the rollout does not move whatever the evidence; true when so.
bool ruled_by_standing(Stepping& s) {
  auto const& standing = s.standing();
  auto& verdict = s.verdict;
  if (standing.state == State::awaiting_approval)
    verdict.reason = fmt::format("waits for approval: {} of {}", standing.approvals, s.setting.policy.approvals_required);
  else if (standing.state == State::paused) verdict.reason = standing.cause.empty() ? "paused" : standing.cause;
  else return false;
  return true;
}

/// A rollout that comes after another begins when that one completed; where it ended otherwise, a person decides.
bool ruled_by_beginning(Stepping& s) {
  auto const& standing = s.standing();
  if (standing.begun) return false;
  auto& verdict = s.verdict;
  verdict.begin = standing.waits_for.empty();
  if (verdict.begin) {
    verdict.reason = "what it waited for has come: stage 1 begins";
    enter_what_was_said(s);
    return true;
  }
  verdict.reason = fmt::format("waits for {}", standing.waits_for);
  if (!standing.wait_ended) return true;
  verdict.decision = Ruling::pause;
  verdict.event = Event::pause;
  verdict.reason = fmt::format("comes after {}; resume to go on all the same", standing.waits_for);
  return true;
}

std::string busy_text(Facts const& facts) {
  auto out = fmt::format("{} still at work", devices_text(facts.undecided));
  if (facts.busy.empty()) return out;
  return fmt::format("{}: {}{}", out, fmt::join(facts.busy, ", "), static_cast<std::int64_t>(facts.busy.size()) < facts.undecided ? ", ..." : "");
}

std::string hours_text(Millis time) { return fleet::to_string(std::chrono::ceil<seconds>(time)); }

/// What the open window still waits for; empty: it was judged.
std::string waits_for_window(Stepping& s) {
  auto const& progress = s.progress;
  if (progress.judged) return {};
  auto const started = sum_arm(s.facts().window, 0).started;
  if (!progress.shut) {
    if (s.facts().undispatched > 0)
      return fmt::format("reachable devices of this stage have not been told yet{}", s.facts().waits_at.empty() ? "" : "; at " + s.facts().waits_at + " all places are taken");
    if (s.facts().undecided > 0 && s.stage().every == Millis{0}) return busy_text(s.facts());
    if (s.stage().every > Millis{0} && started > 0) s.verdict.look_at = progress.opened + s.stage().every / 2;
    return fmt::format("window {}: {} of {} canaries have started", progress.window, started, count_at(s.setting.ladder, progress.canaries));
  }
  if (progress.complete_since) return fmt::format("window {} waits for what its devices measured", progress.window);
  if (auto const ripe = ripe_at(s.setting, progress); is_complete(s.facts()) && s.look.service < ripe) {
    s.verdict.look_at = ripe;
    return fmt::format("window {}: both releases run for {} before they are compared, {} are left", progress.window, fleet::to_string(s.stage().bake), hours_text(ripe - s.look.service));
  }
  auto const controls = sum_arm(s.facts().window, 1).undecided;
  if (s.facts().undecided > 0) return controls > 0 ? fmt::format("{}, and {} of the control", busy_text(s.facts()), controls) : busy_text(s.facts());
  return fmt::format("{} of the control still at work", devices_text(controls));
}

/// What the stage lacks to pass; empty: nothing.
std::string lacks(Stepping& s) {
  for (auto const& gate : s.verdict.gates)
    if (gate.test == "safe" && gate.decision == Ruling::hold) return gate.text;
  if (without_gates(s.setting.policy) && s.facts().failed > s.facts().recovered)
    return fmt::format("failures: {} of {} failed{}; without gates a stage passes when all have committed: retry, promote or roll back", s.facts().failed,
                       s.facts().decided, codes_text(s.facts()));
  return {};
}

/// Samples come with time, not with more devices.
bool waits_for_samples(Stepping const& s) {
  return std::any_of(s.verdict.gates.begin(), s.verdict.gates.end(),
                     [](GateVerdict const& gate) { return gate.decision == Ruling::hold && gate.test == "safe" && gate.name.starts_with("coverage"); });
}

/// Opens the next window when its time has come, else says when.
std::string next_window(Stepping& s) {
  auto const at = s.progress.opened + s.stage().every;
  if (s.look.service < at) {
    s.verdict.look_at = at;
    return fmt::format("the next window opens in {}", hours_text(at - s.look.service));
  }
  open_window(s.setting, s.progress, std::max(s.standing().stage, 1), s.standing().full, s.look.service);
  s.verdict.told_anew = true;
  return fmt::format("window {} opens: {} canaries in all", s.progress.window, count_at(s.setting.ladder, s.progress.canaries));
}

/// Devices that started after the window was shut, where no other opens by itself: they are a window of their own, beside the controls of the last.
std::string gather_stragglers(Stepping& s) {
  auto& progress = s.progress;
  if (s.facts().later == 0 || !progress.judged || s.verdict.told_anew) return {};
  auto const at = progress.opened + std::max(s.stage().every, kStragglers);
  if (s.look.service < at) {
    s.verdict.look_at = std::min(s.verdict.look_at.value_or(at), at);
    return {};
  }
  ++progress.window;
  progress.shut = progress.judged = false;
  progress.opened = s.look.service;
  s.verdict.told_anew = true;
  return fmt::format("; window {} opens for {} that started late", progress.window, devices_text(s.facts().later));
}

void rule_promotion(Stepping& s) {
  if (s.setting.policy.ab) return end_test(s.progress, s.verdict, Winner::none, no_winner_text(s.setting, s.progress));
  auto const& standing = s.standing();
  auto const& policy = s.setting.policy;
  auto& verdict = s.verdict;
  auto const next = standing.stage + 1;
  auto const needed = policy.approvals_required;
  if (!s.is_last() && !standing.full && needed > 0 && policy.approvals_before_stage == next && standing.approvals < needed) {
    verdict.event = Event::ask_approval;
    verdict.reason = fmt::format("stage {} passed; stage {} waits for approval: {} of {}", standing.stage, next, standing.approvals, needed);
    return;
  }
  verdict.decision = Ruling::promote;
  verdict.event = s.is_last() ? Event::complete : Event::widen;
  verdict.reason = fmt::format("stage {} of {} passed: {} healthy of {} decided", standing.stage, policy.stage_count(), s.facts().healthy, s.facts().decided);
  for (auto const& gate : verdict.gates)
    if (gate.test == "safe" && gate.name != "min_devices" && !gate.name.starts_with("coverage")) verdict.reason += "; " + gate.text;
  if (!s.progress.quarantined.empty()) verdict.reason += fmt::format("; without stratum {}", fmt::join(s.progress.quarantined, ", "));
  verdict.told_anew = true;
  if (!s.is_last()) s.progress = enter(s.setting, std::move(s.progress), next, false, s.look.service);
}

/// What the stage waits for; empty: it passes.
std::string waits_for(Stepping& s) {
  if (count_at(s.setting.ladder, steps_of(s.setting, std::max(s.standing().stage, 1), s.standing().full).size) == 0 && !s.is_last()) return {};  // of nobody: there is nothing to learn
  if (auto out = waits_for_window(s); !out.empty()) return out;
  auto const& standing = s.standing();
  auto const [size, cap] = steps_of(s.setting, std::max(standing.stage, 1), standing.full);
  if (s.progress.canaries < size) return next_window(s);
  if (s.facts().decided > 0 && !s.progress.bake_since) {
    s.progress.bake_since = s.look.service;
    s.verdict.start_bake = true;
  }
  auto const bake = standing.full || s.setting.policy.emergency || s.setting.policy.ab || nothing_at_risk(s.facts()) ? Millis{0} : s.stage().bake;
  auto const baked_at = s.progress.bake_since.value_or(s.look.service) + bake;
  if (auto out = lacks(s); !out.empty()) {
    if (s.progress.canaries < cap && s.look.service >= baked_at && !waits_for_samples(s)) out += "; " + next_window(s);
    return out;
  }
  if (s.look.service < baked_at) {
    s.verdict.look_at = baked_at;
    return fmt::format("bakes for {}, {} are left", fleet::to_string(bake), hours_text(baked_at - s.look.service));
  }
  return {};
}

void rule_stage(Stepping& s) {
  if (auto const* const win = win_of(s.verdict)) return end_test(s.progress, s.verdict, Winner::a, won_text(s.setting.release, *win));
  auto waits = waits_for(s);
  if (waits.empty()) return rule_promotion(s);
  waits += gather_stragglers(s);
  auto const& facts = s.facts();
  std::int64_t failed = 0;
  for (auto const& [code, devices] : facts.failures) failed += devices;
  if (failed > 0 && !without_gates(s.setting.policy)) waits += fmt::format("; {} failed{}", failed, codes_text(facts));
  if (facts.blocked > 0 && !facts.blocked_by.empty()) waits += fmt::format("; {} held by rollout {}", devices_text(facts.blocked), fmt::join(facts.blocked_by, ", "));
  // By name it would be told to everybody who sees this rollout.
  if (facts.blocked_beside > 0) waits += fmt::format("; {} held by a rollout of another model: fleetctl explain names it", devices_text(facts.blocked_beside));
  if (!s.standing().frozen.empty()) waits += fmt::format("; frozen: nothing new starts until {}", s.standing().frozen);
  if (!s.progress.quarantined.empty()) waits += fmt::format("; stratum {} has shown harm by itself and is told nothing more", fmt::join(s.progress.quarantined, ", "));
  auto& verdict = s.verdict;
  verdict.reason = std::move(waits);
  if (!s.progress.deadline) return;
  if (s.look.service < *s.progress.deadline) {
    verdict.look_at = std::min(verdict.look_at.value_or(*s.progress.deadline), *s.progress.deadline);
    return;
  }
  bool const back = s.setting.policy.on_deadline == OnDeadline::rollback;
  if (s.setting.policy.ab && !back) return end_test(s.progress, s.verdict, Winner::none, fmt::format("{} within {}; {}", no_winner_text(s.setting, s.progress), fleet::to_string(s.stage().deadline), verdict.reason));
  verdict.decision = back ? Ruling::rollback : Ruling::pause;
  verdict.event = back ? Event::roll_back : Event::pause;
  verdict.reason = fmt::format("the deadline of stage {} passed: {}", s.standing().stage, verdict.reason);
}

void rule_return(Stepping& s) {
  auto& verdict = s.verdict;
  verdict.decision = Ruling::rollback;
  verdict.reason = s.standing().cause.empty() ? "rolled back" : s.standing().cause;
  if (s.facts().to_revert > 0) return;
  verdict.event = Event::all_reverted;
  verdict.step = "every reachable exposed device returned to its previous version";
}

}  // namespace

Progress enter(Setting const& setting, Progress progress, int stage, bool full, Millis service) {
  progress.stage_since = service;
  progress.bake_since.reset();
  progress.deadline.reset();
  if (auto const limit = setting.policy.stage(stage).deadline; limit > Millis{0} && !full) progress.deadline = service + limit;
  progress.stage = stage;
  progress.full = full;
  progress.in_stage = 0;
  if (progress.folded.odds.empty()) progress.folded = fold_nothing(setting.policy);
  open_window(setting, progress, stage, full, service);
  return progress;
}

Progress accept(Progress progress) {
  forget(progress.folded);
  progress.quarantined.clear();
  progress.winner = Winner::open;
  return progress;
}

bool may_move(Setting const& setting, Progress const& progress, Look const& look) {
  if (look.standing.state == State::rolling_back || progress.judged) return true;
  bool const ripe = look.service >= ripe_at(setting, progress);
  return progress.shut ? is_complete(look.facts) && ripe && (!progress.complete_since || samples_came(setting, progress, look)) : may_shut(setting, progress, look);
}

bool closes_window(Setting const& setting, Progress const& progress, Look const& look) {
  bool const ripe = look.service >= ripe_at(setting, progress);
  return !progress.judged && (progress.shut || may_shut(setting, progress, look)) && is_complete(look.facts) && ripe && samples_came(setting, progress, look);
}

Stepped step(Setting const& setting, Progress progress, Look const& look) {
  Stepping s{setting, look, std::move(progress)};
  auto& verdict = s.verdict;
  verdict.latches = look.standing.latches;
  if (look.standing.state == State::rolling_back) {
    rule_return(s);
    return {std::move(s.progress), std::move(verdict)};
  }
  if (look.standing.begun) {
    enter_what_was_said(s);
    follow_window(s);
  }
  auto sizes = setting.ladder.sizes;
  for (auto const& stratum : s.progress.quarantined) sizes.erase(stratum);
  verdict.gates = judge_all({setting.policy, std::max(look.standing.stage, 1), look.standing.full || setting.policy.emergency, look.standing.latches, s.progress.folded, look.facts,
                             setting.ladder.reach(), &sizes, setting.release, {}, planned_share(setting)});
  latch_trips(verdict);
  if (look.standing.release_revoked || look.standing.against_revoked) {
    verdict.decision = Ruling::pause;
    verdict.event = Event::abort;
    verdict.reason = look.standing.release_revoked ? look.standing.is_set ? "the release was revoked, or one of its members: fleetctl set get shows which" : "the release was revoked" : setting.policy.ab->against + " was revoked";
  } else if ((look.standing.restored || !ruled_by_harm(s)) && !ruled_by_standing(s) && !ruled_by_beginning(s)) {
    rule_stage(s);
  }
  return {std::move(s.progress), std::move(verdict)};
}

}  // namespace fleet::rollout
