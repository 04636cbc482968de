#include "server/rollout/gates/first.hpp"

#include <fmt/format.h>

#include <cmath>

namespace fleet::rollout {
namespace {

/// Of so few devices one is much of the fleet.
constexpr std::int64_t kFew = 3;
/// Three of three beside so many controls each are mostly enough for the gate on failures, which takes the release back.
constexpr std::int64_t kBesideEach = 7;

std::int64_t needed(Case const& c, std::int64_t devices) {
  if (c.reach > 0 && c.reach <= kFew) return 1;
  return c.folded.controls >= kBesideEach * devices ? 3 : 2;
}

}  // namespace

/// A test goes on until one of its releases is shown to be the worse one: its next window is small, and a pause would name no winner.
bool first_asked(Policy const& policy) { return !without_gates(policy) && !policy.ab; }

/// Of judged windows, and of updates that failed before they started by then: an open window shows the bad ones first.
void judge_first(Case const& c, std::vector<GateVerdict>& out) {
  auto const& folded = c.folded;
  auto const installs = folded.install_failed;
  auto const bad = folded.seen[0].canary.bad + folded.golden.bad + folded.seen[1].canary.bad + installs, devices = folded.canaries - folded.left + installs;
  if (devices == 0) return;
  auto const least = needed(c, devices);
  auto const beside = folded.seen[0].control;
  bool const alike = 2 * beside.bad > beside.devices;  // controls fail, too: it is not the release
  bool const all = bad == devices && !alike;
  auto verdict = harm_verdict(c, {"first", {all ? std::log(static_cast<double>(bad)) : -1.}, 1 / static_cast<double>(least), bad, {}});
  if (!all && verdict.decision == Ruling::hold) return;
  if (verdict.decision != Ruling::hold) verdict.decision = Ruling::pause;
  verdict.text = fmt::format("first: {} of {} failed{}: nothing shows yet that the release works anywhere", bad, devices_text(devices), codes_text(c.facts)) + verdict.text;
  verdict.evidence = {{"bad", static_cast<double>(bad)}, {"devices", static_cast<double>(devices)}};
  out.push_back(std::move(verdict));
}

}  // namespace fleet::rollout
