#include "server/rollout/gates/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace {

constexpr auto kRulings = std::to_array<std::string_view>({"hold", "promote", "pause", "rollback"});

/// What a gate is given, and may look at.
struct Case {
  Policy const& policy;
  Standing const& standing;
  Facts const& facts;
  SysTime now;
};

std::string devices_text(std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? "device" : "devices"); }

/// ": golden_mismatch", or ": 6 golden_mismatch, 2 network": the three that are told most; nothing where none says why.
std::string codes_text(Facts const& facts) {
  std::vector<std::pair<std::int64_t, std::string_view>> codes;
  for (auto const& [code, devices] : facts.failures)
    if (!code.empty()) codes.emplace_back(-devices, code);
  std::sort(codes.begin(), codes.end());
  if (codes.size() == 1 && facts.failures.size() == 1) return fmt::format(": {}", codes.front().second);
  std::string out;
  for (std::size_t i = 0; i < codes.size() && i < 3; ++i) out += fmt::format("{}{} {}", out.empty() ? ": " : ", ", -codes[i].first, codes[i].second);
  return out + (codes.size() > 3 ? ", and others" : "");
}

std::int64_t failed_devices(Facts const& facts) {
  std::int64_t sum = 0;
  for (auto const& [code, devices] : facts.failures) sum += devices;
  return sum;
}

/// "2 devices still at work: cam-1 (probation), cam-2 (testing)".
std::string busy_text(Facts const& facts) {
  auto out = fmt::format("{} still at work", devices_text(facts.undecided));
  if (facts.busy.empty()) return out;
  return fmt::format("{}: {}{}", out, fmt::join(facts.busy, ", "), static_cast<std::int64_t>(facts.busy.size()) < facts.undecided ? ", ..." : "");
}

/// A guardrail: trips when the share of bad devices is shown to exceed `p0`; latched until a person accepts it, and then only by more bad ones.
/// @param found  the bad ones in words: "2 of 4 devices fell silent"
GateVerdict guard(Case const& c, std::string const& name, stats::Tally tally, double p0, double alpha, std::string_view found) {
  auto const evidence = stats::harm(tally, p0);
  GateVerdict out{name, "harm", Ruling::hold, evidence.e_value(), 1 / alpha, {}, {}};
  auto const latch = c.standing.latches.find(name);
  bool const latched = latch != c.standing.latches.end();
  bool const accepted = latched && latch->second.accepted && tally.bad <= latch->second.bad;
  bool const trips = evidence.reaches(1 / alpha);
  if ((trips || (latched && !latch->second.accepted)) && !accepted) out.decision = c.policy.on_harm == OnHarm::rollback ? Ruling::rollback : Ruling::pause;
  out.evidence = {{"bad", static_cast<double>(tally.bad)}, {"devices", static_cast<double>(tally.devices)}, {"devices_max", p0}, {"alpha", alpha}};
  out.text = fmt::format("{}{}; at most {} are allowed (e-value {:.3g}, trips at {:.0f})", name == kInstallFailure ? "failures: " : name + ": ", found,
                         percent_text(p0), out.e_value, out.threshold);
  if (accepted) out.text += fmt::format("; {} bad were accepted by a person", latch->second.bad);
  else if (latched && !trips) out.text += fmt::format("; it tripped with {} bad, and that stands", latch->second.bad);
  return out;
}

GateVerdict need(std::string name, double have, double want, std::string text) {
  bool const met = have >= want;
  return {std::move(name), "safe", met ? Ruling::promote : Ruling::hold, have, want, {{"have", have}, {"need", want}}, std::move(text)};
}

std::string found_by(AbsoluteGate const& gate, stats::Tally tally, Facts const& facts) {
  if (gate.metric == kInstallFailure)
    return fmt::format("{} of {} failed{}", tally.bad, tally.devices, codes_text(facts));
  auto const bad = gate.min && gate.max ? fmt::format("outside {:g} to {:g}", *gate.min, *gate.max)
                   : gate.min           ? fmt::format("below {:g}", *gate.min)
                                        : fmt::format("above {:g}", *gate.max);
  return fmt::format("{} of {} have a mean {}", tally.bad, devices_text(tally.devices), bad);
}

void absolute_gates(Case const& c, std::vector<GateVerdict>& out) {
  for (std::size_t i = 0; i < c.policy.absolute.size(); ++i) {
    auto const& gate = c.policy.absolute[i];
    auto const tally = c.facts.absolute[i];
    out.push_back(guard(c, gate.metric, tally, gate.devices_max, kAlphaAbsolute, found_by(gate, tally, c.facts)));
  }
}

void silent_gate(Case const& c, std::vector<GateVerdict>& out) {
  auto const tally = c.facts.silent;
  if (c.policy.silent)
    out.push_back(guard(c, "silent", tally, c.policy.silent->devices_max, kAlphaSilent, fmt::format("{} of {} fell silent", tally.bad, devices_text(tally.devices))));
}

/// Every member runs the release already, since a rollout that was aborted, say: there is nothing to learn and nobody to harm.
bool nothing_at_risk(Facts const& facts) { return facts.there > 0 && facts.there == facts.told && facts.undispatched + facts.offline + facts.blocked == 0; }

void coverage_gates(Case const& c, std::vector<GateVerdict>& out) {
  if (c.standing.full || nothing_at_risk(c.facts)) return;
  for (std::size_t i = 0; i < c.policy.absolute.size(); ++i) {
    auto const& gate = c.policy.absolute[i];
    if (gate.metric == kInstallFailure) continue;
    auto const covered = c.facts.healthy - c.facts.uncovered[i];
    auto const share = c.facts.healthy == 0 ? 0 : static_cast<double>(covered) / static_cast<double>(c.facts.healthy);
    out.push_back(need("coverage " + gate.metric, share, kCoverage,
                       fmt::format("{} of {} healthy devices have sent {} or more samples of {}; {} are needed", covered, c.facts.healthy, gate.samples,
                                   gate.metric, percent_text(kCoverage))));
  }
}

void certify_gate(Case const& c, std::vector<GateVerdict>& out) {
  auto const bound = c.policy.certify_at(c.standing.stage);
  if (!bound || c.standing.full || nothing_at_risk(c.facts)) return;
  auto const& tally = c.facts.certify;
  auto const evidence = stats::certify(tally, *bound);
  GateVerdict verdict{"certify", "safe", evidence.reaches(stats::kCertifyBound) ? Ruling::promote : Ruling::hold, evidence.e_value(), stats::kCertifyBound,
                      {},        {}};
  verdict.evidence = {{"bad", static_cast<double>(tally.bad)}, {"devices", static_cast<double>(tally.devices)}, {"devices_max", *bound}};
  verdict.text = fmt::format("certify: {} of {} are bad; that fewer than {} are: e-value {:.3g}, {:.0f} is needed", tally.bad, devices_text(tally.devices),
                             percent_text(*bound), verdict.e_value, verdict.threshold);
  if (verdict.decision == Ruling::hold && tally.bad == 0) verdict.text += fmt::format(" (after {} healthy devices)", needed_text(stats::certify_needs(*bound)));
  out.push_back(std::move(verdict));
}

void min_devices_gate(Case const& c, std::vector<GateVerdict>& out) {
  auto const wanted = c.standing.full ? 0 : c.policy.stage(c.standing.stage).min_devices;
  if (nothing_at_risk(c.facts)) {
    out.push_back(need("min_devices", 0, 0, fmt::format("{} of this stage, all of which run the release already", devices_text(c.facts.there))));
    return;
  }
  auto const least = std::max<std::int64_t>(wanted, 1);  // no data is never good news
  out.push_back(need("min_devices", static_cast<double>(c.facts.decided), static_cast<double>(least),
                     fmt::format("{} decided, at least {} are needed", devices_text(c.facts.decided), least)));
}

/// The gates, in the order they are shown. A further gate is a further line here.
using GateFunction = void (*)(Case const&, std::vector<GateVerdict>&);
constexpr auto kGates = std::to_array<GateFunction>({absolute_gates, silent_gate, min_devices_gate, coverage_gates, certify_gate});

bool without_gates(Policy const& policy) { return policy.absolute.empty() && !policy.silent && policy.certify.empty(); }

/// What the stage still waits for before evidence counts; empty: every reachable device is decided.
std::string waits_for_devices(Case const& c) {
  bool const baking = c.standing.bake_since.has_value();
  if (!baking && c.facts.undispatched > 0) return "reachable devices of this stage have not been told yet";
  if (c.facts.undecided > 0) return busy_text(c.facts);
  if (without_gates(c.policy) && c.facts.healthy < c.facts.decided - c.facts.silent.bad)
    return fmt::format("failures: {} of {} failed{}; without gates a stage passes when all have committed: retry, promote or roll back",
                       c.facts.decided - c.facts.silent.bad - c.facts.healthy, c.facts.decided, codes_text(c.facts));
  return {};
}

void latch_trips(Verdict& verdict) {
  for (auto const& gate : verdict.gates)
    if (gate.test == "harm" && (gate.decision == Ruling::rollback || gate.decision == Ruling::pause)) {
      auto const bad = static_cast<std::int64_t>(gate.evidence.front().second);
      auto const [latch, fresh] = verdict.latches.try_emplace(gate.name, Latch{bad, gate.e_value, false});
      if (!fresh && latch->second.accepted) latch->second = {bad, gate.e_value, false};
    }
}

/// Decides on harm; true when it did.
bool ruled_by_harm(Case const& c, Verdict& verdict) {
  for (auto const& gate : verdict.gates) {
    if (gate.test != "harm" || gate.decision == Ruling::hold) continue;
    auto const event = gate.decision == Ruling::rollback ? Event::roll_back : Event::pause;
    verdict.decision = gate.decision;
    verdict.reason = gate.text;
    if (next_state(c.standing.state, event)) verdict.event = event;
    return true;
  }
  return false;
}

/// Why the rollout does not move whatever the evidence; true when so.
bool ruled_by_standing(Case const& c, Verdict& verdict) {
  auto const& standing = c.standing;
  if (standing.state == State::awaiting_approval) verdict.reason = fmt::format("waits for approval: {} of {}", standing.approvals, c.policy.approvals_required);
  else if (standing.state == State::paused) verdict.reason = standing.cause.empty() ? "paused" : standing.cause;
  else return false;
  return true;
}

/// A rollout that comes after another begins when that one completed; where it ended otherwise, a person decides.
bool ruled_by_predecessor(Case const& c, Verdict& verdict) {
  auto const& standing = c.standing;
  if (standing.begun) return false;
  verdict.begin = standing.predecessor.empty();
  if (verdict.begin) verdict.reason = "the rollout before this one completed: stage 1 begins";
  else verdict.reason = fmt::format("waits for rollout {}", standing.predecessor);
  if (!standing.predecessor_ended || verdict.begin) return true;
  verdict.decision = Ruling::pause;
  verdict.event = Event::pause;
  verdict.reason = fmt::format("comes after rollout {}; resume to go on all the same", standing.predecessor);
  return true;
}

void rule_promotion(Case const& c, Verdict& verdict) {
  auto const next = c.standing.stage + 1;
  bool const last = c.standing.stage >= c.policy.stage_count();
  auto const needed = c.policy.approvals_required;
  if (!last && !c.standing.full && needed > 0 && c.policy.approvals_before_stage == next && c.standing.approvals < needed) {
    verdict.event = Event::ask_approval;
    verdict.reason = fmt::format("stage {} passed; stage {} waits for approval: {} of {}", c.standing.stage, next, c.standing.approvals, needed);
    return;
  }
  verdict.decision = Ruling::promote;
  verdict.event = last ? Event::complete : Event::widen;
  verdict.reason = fmt::format("stage {} of {} passed: {} healthy of {} decided", c.standing.stage, c.policy.stage_count(), c.facts.healthy, c.facts.decided);
  for (auto const& gate : verdict.gates)
    if (gate.name == "certify") verdict.reason += "; " + gate.text;
}

void rule_stage(Case const& c, Verdict& verdict) {
  auto const& standing = c.standing;
  auto waits = waits_for_devices(c);
  auto const bake = standing.full || nothing_at_risk(c.facts) ? Millis{0} : c.policy.stage(standing.stage).bake;
  verdict.start_bake = waits.empty() && c.facts.decided > 0 && !standing.bake_since;
  auto const baked = standing.bake_since ? c.now - *standing.bake_since : Millis{0};
  if (waits.empty())
    for (auto const& gate : verdict.gates)
      if (gate.test == "safe" && gate.decision == Ruling::hold && waits.empty()) waits = gate.text;
  if (waits.empty() && baked < bake)
    waits = fmt::format("bakes for {}, until {}", fleet::to_string(bake), to_rfc3339(standing.bake_since.value_or(c.now) + bake));
  if (waits.empty()) return rule_promotion(c, verdict);
  if (!c.facts.failures.empty() && !without_gates(c.policy)) waits += fmt::format("; {} failed{}", failed_devices(c.facts), codes_text(c.facts));
  if (c.facts.blocked > 0 && !c.facts.blocked_by.empty())
    waits += fmt::format("; {} held by rollout {}", devices_text(c.facts.blocked), fmt::join(c.facts.blocked_by, ", "));
  verdict.reason = std::move(waits);
  if (!standing.deadline || c.now < *standing.deadline) return;
  bool const back = c.policy.on_deadline == OnDeadline::rollback;
  verdict.decision = back ? Ruling::rollback : Ruling::pause;
  verdict.event = back ? Event::roll_back : Event::pause;
  verdict.reason = fmt::format("the deadline of stage {} passed: {}", standing.stage, verdict.reason);
}

void rule_return(Case const& c, Verdict& verdict) {
  verdict.decision = Ruling::rollback;
  verdict.reason = c.standing.cause.empty() ? "rolled back" : c.standing.cause;
  if (c.facts.to_revert > 0) return;
  verdict.event = Event::all_reverted;
  verdict.step = "every reachable exposed device returned to its previous version";
}

}  // namespace

std::string_view to_string(Ruling ruling) { return kRulings[static_cast<std::size_t>(ruling)]; }

Fold::Fold(Policy const& policy, std::optional<SysTime> bake_since) : policy_(policy), bake_since_(bake_since) {
  facts.absolute.resize(policy.absolute.size());
  facts.uncovered.resize(policy.absolute.size());
}

void Fold::add(DeviceEvidence const& device) {
  bool const healthy = device.state == device_state::kHealthy;
  bool const failed = device.state == device_state::kFailed;
  bool const silent = device.state == device_state::kSilent;
  if (device.exposed) ++facts.exposed;
  if (device.state == device_state::kLeft) {  // no harm, but whoever would promote a release by taking its canaries away does not
    if (device.exposed && device.eligible) facts.certify = {facts.certify.bad + 1, facts.certify.devices + 1};
    return;
  }
  if (device_state::is_undecided(device.state)) ++facts.at_work;
  if (failed) ++facts.failures[device.error];
  ++facts.told;
  if (healthy && device.was_there) ++facts.there;
  if (!device.eligible) return;
  bool const undecided = device_state::is_undecided(device.state);
  if (undecided && (!bake_since_ || device.dispatched_at <= *bake_since_)) ++facts.undecided;
  bool const under_way = undecided && device.state != device_state::kWaiting;
  bool any_bad = failed || silent;
  bool all_judged = true;
  for (std::size_t i = 0; i < policy_.absolute.size(); ++i) {
    auto const& gate = policy_.absolute[i];
    auto& tally = facts.absolute[i];
    if (gate.metric == kInstallFailure) {
      if (healthy || failed || under_way) tally = {tally.bad + failed, tally.devices + 1};
      continue;
    }
    auto const& samples = device.samples[i];
    if (!device.exposed || samples.count < gate.samples) {
      all_judged = false;
      if (healthy) ++facts.uncovered[i];
      continue;
    }
    double const mean = samples.sum / static_cast<double>(samples.count);
    bool const bad = (gate.min && mean < *gate.min) || (gate.max && mean > *gate.max);
    tally = {tally.bad + bad, tally.devices + 1};
    any_bad = any_bad || bad;
  }
  bool const decided = healthy || failed || silent;
  if (decided || under_way) facts.silent = {facts.silent.bad + silent, facts.silent.devices + 1};
  if (!decided) return;
  ++facts.decided;
  facts.healthy += healthy;
  if (any_bad || all_judged) facts.certify = {facts.certify.bad + any_bad, facts.certify.devices + 1};
}

Verdict judge(Policy const& policy, Standing const& standing, Facts const& facts, SysTime now) {
  Case const c{policy, standing, facts, now};
  Verdict verdict;
  verdict.latches = standing.latches;
  if (standing.state == State::rolling_back) {
    rule_return(c, verdict);
    return verdict;
  }
  for (auto const gate : kGates) gate(c, verdict.gates);
  latch_trips(verdict);
  if (standing.release_revoked) {
    verdict.decision = Ruling::pause;
    verdict.event = Event::abort;
    verdict.reason = "the release was revoked";
    return verdict;
  }
  if ((!standing.restored && ruled_by_harm(c, verdict)) || ruled_by_standing(c, verdict) || ruled_by_predecessor(c, verdict)) return verdict;
  rule_stage(c, verdict);
  return verdict;
}

}  // namespace fleet::rollout
