#include "server/rollout/policy/presets.hpp"

#include "core/stats/absolute.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::rollout {
namespace {

using std::chrono::hours;

constexpr Millis kDeadline = hours(24 * 14);
constexpr std::int64_t kBare = 24;  ///< below it two devices that fail anyhow leave too few others to show that most do not
/// What the rest of fewer than a dozen must still show. Its evidence was given: one that fails by chance in the last window is no reason to ask a person.
constexpr std::int64_t kDozen = 12;
constexpr double kFewRest = .7;
constexpr std::int64_t kSmall = 600, kLarge = 6'000, kHuge = 60'000, kManyForCaution = 2'000;
constexpr std::int64_t kHoldbackFrom = 100;
constexpr double kHoldback = .05;

/// What tells the presets apart.
struct Temper {
  std::string_view name;
  Millis every;
  double tiny_share;        ///< of the targeted in the second stage of a tiny fleet
  double tiny_evidence;
  double small_share;       ///< of the targeted in the second stage of a small fleet
  double small_certainty;   ///< a small fleet certifies at best so many over its size
  std::int64_t tiny_cap;    ///< of a tiny fleet's first stage
  double tiny_rest;         ///< share that the rest of a tiny fleet must certify
  std::int64_t middle_window_max;
  double large_grow;
};
constexpr auto kTempers = std::to_array<Temper>({
    {"cautious", hours(6), 1. / 2, 6, .4, 15, 5, .6, 20, 3},
    {"standard", hours(2), 1. / 3, 3, .33, 20, 4, .5, 40, 3},
    {"fast", hours(1), 1. / 3, 3, .33, 20, 4, .5, 40, 4},
    {"small-fleet", hours(2), 1. / 3, 3, .33, 20, 4, .5, 40, 3},
});

std::int64_t part(double share, std::int64_t whole) { return std::max<std::int64_t>(1, std::llround(share * static_cast<double>(whole))); }

/// A policy in the making: stages with the evidence that each asks for.
struct Making {
  Policy policy;
  Millis every;
  std::int64_t reach;  ///< targeted less the holdback

  void stage(std::int64_t devices, std::int64_t window, std::int64_t cap, double odds_ratio, double share) {
    StageSpec one;
    one.size.devices = std::min(devices, reach);
    one.window = window;
    one.every = every;
    one.cap.devices = std::clamp(cap, *one.size.devices, reach);
    one.deadline = kDeadline;
    policy.stages.push_back(one);
    if (odds_ratio > 0) policy.failures->max_odds_ratio.push_back(odds_ratio);
    policy.certify.push_back(share);
  }
  /// The rest of the fleet, in windows that grow. The harm gates stay armed; evidence has been given.
  void rest(std::int64_t window, double grow) {
    StageSpec one;
    one.size.percent = 100;
    one.window = std::min(reach, part(grow, window));
    one.grow = grow;
    one.every = every;
    one.deadline = kDeadline;
    policy.stages.push_back(one);
  }
};

void tiny(Making& m, Temper const& temper) {
  m.policy.failures->alternatives = {3, 10, 50, 500};
  m.policy.absolute.front().devices_max = .2;
  m.policy.absolute.front().alpha = .003;
  m.policy.certify_evidence = temper.tiny_evidence;
  bool const whole = m.reach < kBare || temper.name == "cautious";
  if (m.reach == 1) m.policy.certify.push_back(.9);
  else m.stage(1, 1, temper.tiny_cap, 0, .9);
  // Where not even all of them, healthy, would be evidence enough, the first device and time are.
  if (m.reach > 2 && stats::certify({0, m.reach}, .5).reaches(temper.tiny_evidence)) {
    m.stage(std::max<std::int64_t>(2, part(temper.tiny_share, m.reach)), 1, whole ? m.reach : part(2. / 3, m.reach), 0, .5);
    m.policy.certify.push_back(m.reach < kDozen ? kFewRest : temper.tiny_rest);
  }
  m.rest(1, 2);
}

void small(Making& m, Temper const& temper) {
  auto const window = part(1. / 20, m.reach);
  m.policy.failures->alternatives = {5, 13, 50};
  auto const sure = temper.small_certainty / static_cast<double>(std::min<std::int64_t>(m.reach, 100));
  m.stage(window, window, part(1. / 3, m.reach), 20, .5);
  m.stage(part(temper.small_share, m.reach), window, part(.7, m.reach), 20, std::min(.4, sure));
  m.rest(window, 2);
}

void middle(Making& m, Temper const& temper) {
  m.policy.failures->alternatives = {3, 6, 20};
  auto const window = std::clamp<std::int64_t>(m.reach / 50, 10, temper.middle_window_max);
  bool const fast = temper.name == "fast";
  bool const careful = temper.name == "cautious" && m.reach >= kManyForCaution;
  m.stage(160, window, part(.9, m.reach), fast ? 7 : careful ? 5 : 6, fast ? .035 : .03);
  m.rest(window, 2);
}

void large(Making& m, Temper const& temper) {
  m.policy.failures->alternatives = {2.5, 4, 8, 25};
  auto const half = m.reach / 2;
  if (temper.name == "fast") {
    m.stage(160, 40, half, 8, .04);
    m.rest(40, temper.large_grow);
    return;
  }
  bool const cautious = temper.name == "cautious";
  std::int64_t const first = cautious ? 20 : 40;
  bool const third = cautious || m.reach >= kHuge;
  m.stage(160, first, 1'200, 5, .025);
  m.stage(640, first * 4, third ? 4'000 : half, 4, .0125);
  if (cautious) m.stage(std::min<std::int64_t>(part(.15, m.reach), 6'000), first * 16, half, 3, .01);
  else if (third) m.stage(2'560, first * 16, half, 3, .006);
  m.rest(third ? first * 16 : first * 4, temper.large_grow);
}

}  // namespace

bool is_preset(std::string_view name) { return std::find(kPresetNames.begin(), kPresetNames.end(), name) != kPresetNames.end(); }

/// @source simulated rules, docs/statistics.md; each is checked by `make sim-table`
Policy preset_for(std::string_view name, FleetShape const& fleet) {
  auto const* const temper = std::find_if(kTempers.begin(), kTempers.end(), [&](Temper const& one) { return one.name == name; });
  Making m;
  m.policy.failures.emplace();
  m.policy.silent.emplace();
  m.policy.absolute.push_back({std::string(kInstallFailure), {}, {}, .3});
  if (fleet.targeted >= kHoldbackFrom) m.policy.holdback = kHoldback;
  m.every = std::max(temper->every, 2 * fleet.outcome);
  m.reach = std::max<std::int64_t>(1, fleet.targeted - std::llround(m.policy.holdback * static_cast<double>(fleet.targeted)));
  if (m.reach < kTiny) tiny(m, *temper);
  else if (m.reach < kSmall) small(m, *temper);
  else if (m.reach < kLarge) middle(m, *temper);
  else large(m, *temper);
  return m.policy;
}

}  // namespace fleet::rollout
