#include "server/rollout/engine/plan.hpp"

#include "core/stats/absolute.hpp"
#include "server/rollout/engine/windows.hpp"
#include "server/rollout/gates/gate.hpp"
#include "server/rollout/policy/presets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fleet::rollout {
namespace {

/// What a test tells once all of both arms were compared.
StagePlan describe_test(Policy const& policy, Ladder const& ladder, StagePlan out) {
  out.controls = ladder.reach() - out.devices;
  out.detects.push_back(fmt::format("test: {} get the release (canaries), {} run {} (controls); either may win, and {} in all is how likely a winner by chance is at most",
                                    devices_text(out.devices), out.controls, policy.ab->against, percent_text(harm_budget(policy))));
  for (auto const& gate : gates())
    if (gate.asked(policy))
      if (auto text = gate.plan(policy, out.devices, out.controls); !text.empty()) out.detects.push_back(std::move(text));
  return out;
}

/// The arm of a test's release is an exact number of devices; the steps beyond it are of the other arm's windows.
Ladder ladder_of_test(Policy const& policy, Places& places, std::int64_t targeted) {
  auto const& arm = policy.stages.front();
  double const share = policy.ab->share;
  auto const most = std::max<std::int64_t>(1, targeted - 1), devices = std::clamp<std::int64_t>(std::llround(share * static_cast<double>(targeted)), 1, most);
  auto one = arm, rest = arm;
  one.size = {{}, devices};
  one.window = first_window(policy, arm, devices);
  rest.size.percent = 100;
  rest.window = std::max<std::int64_t>(1, std::llround(static_cast<double>(one.window) * (1 - share) / share));
  auto out = make_ladder({one, rest}, 0, places);
  out.stage_size.pop_back();
  out.stage_cap.pop_back();
  return out;
}

StagePlan describe_stage(Policy const& policy, Ladder const& ladder, int index, bool comparable) {
  auto const at = static_cast<std::size_t>(index - 1);
  auto const count = [&](int step) { return ladder.counts.at(static_cast<std::size_t>(step)); };
  auto const before = index == 1 ? 0 : count(ladder.stage_size[at - 1]);
  auto const& stage = policy.stage(index);
  StagePlan out;
  out.index = index;
  out.devices = count(ladder.stage_size[at]);
  out.cap = count(ladder.stage_cap[at]);
  out.percent = stage.size.percent ? *stage.size.percent : ladder.reach() == 0 ? 0 : 100. * static_cast<double>(out.devices) / static_cast<double>(ladder.reach());
  auto const whole = std::max<std::int64_t>(0, out.devices - before);
  out.window = std::min(first_window(policy, stage, whole), whole);
  if (policy.ab) return describe_test(policy, ladder, std::move(out));
  if (comparable && policy.compares()) out.controls = std::min(policy.controls * out.window, std::max<std::int64_t>(0, ladder.reach() - before - out.window));
  // What all windows up to here tell together: canaries, and as many controls a canary as the fleet has left.
  auto const beside = comparable && policy.compares() ? std::min(policy.controls * out.devices, std::max<std::int64_t>(out.controls, ladder.reach() - out.devices)) : 0;
  for (auto const& gate : gates())
    if (gate.asked(policy))
      if (auto text = gate.plan(policy, out.devices, beside); !text.empty()) out.detects.push_back(std::move(text));
  auto const bound = policy.certify_at(index);
  auto const odds = beside > 0 ? policy.odds_ratio_at(index) : std::nullopt;
  if (bound) {
    auto const needed = stats::certify_needs(*bound, policy.certify_evidence);
    out.certifies = fmt::format("fewer than {} bad after {} healthy {}", percent_text(*bound), needed_text(needed), needed == 1 ? "device" : "devices");
  }
  if (odds) out.certifies += fmt::format("{}canaries failing less than {:g} times as often as controls", out.certifies.empty() ? "" : ", or ", *odds);
  if (out.certifies.empty() && out.devices > 0)
    out.certifies = fmt::format("nothing is asked for; {} healthy devices could certify fewer than {} bad", out.devices, percent_text(stats::certifiable(out.devices, policy.certify_evidence)));
  return out;
}

void warn_of_stage(Policy const& policy, StagePlan const& stage, std::vector<std::string>& warnings) {
  auto const bound = policy.certify_at(stage.index);
  auto const needed = bound ? stats::certify_needs(*bound, policy.certify_evidence) : std::nullopt;
  bool const by_control = policy.odds_ratio_at(stage.index) && stage.controls > 0;
  if (bound && policy.preset.empty() && !by_control && (!needed || *needed > stage.cap))
    warnings.push_back(fmt::format(
        "stage {} has {} devices; certifying fewer than {} bad takes {} healthy ones ({} certify fewer than {} at best): it will hold until its deadline or a "
        "promote",
        stage.index, stage.cap, percent_text(*bound), needed_text(needed), stage.cap, percent_text(stats::certifiable(stage.cap, policy.certify_evidence))));
  auto const least = policy.stage(stage.index).min_devices;
  if (least > stage.cap)
    warnings.push_back(
        fmt::format("stage {} has {} devices, but min_devices is {}: it will hold until its deadline or a promote", stage.index, stage.devices, least));
}

/// Stages that tell nobody anything, and counts beyond the fleet.
void warn_of_sizes(Plan const& plan, std::vector<std::string>& warnings) {
  std::int64_t before = 0;
  for (auto const& stage : plan.stages) {
    auto const& wanted = plan.policy.stage(stage.index).size.devices;
    if (wanted && *wanted > plan.ladder.reach())
      warnings.push_back(fmt::format("stage {} asks for {} devices, the fleet has {}: it takes all", stage.index, *wanted, plan.ladder.reach()));
    auto const& percent = plan.policy.stage(stage.index).size.percent;
    auto const share = 100. * static_cast<double>(stage.devices) / static_cast<double>(std::max<std::int64_t>(1, plan.ladder.reach()));
    if (percent && share > 2 * *percent)
      warnings.push_back(fmt::format("stage {} of {:g} % is {} of {} devices, {:.0f} %: at least one of each of {} strata; name fewer strata, or labels of fewer values", stage.index,
                                     *percent, stage.devices, plan.ladder.reach(), share, plan.ladder.sizes.size()));
    if (stage.index > 1 && stage.devices == before)
      warnings.push_back(fmt::format("stage {} adds no device to the {} of stage {}: it only waits", stage.index, before, stage.index - 1));
    before = stage.devices;
  }
  if (before < plan.ladder.reach()) warnings.push_back(fmt::format("the last stage reaches {} of {} devices: the others never get the release", before, plan.ladder.reach()));
}

std::vector<std::pair<std::string, std::int64_t>> strata_of(Ladder const& ladder, Places const& places, int step) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (auto const& [stratum, sorted] : places) {
    auto const threshold = ladder.threshold(step, stratum);
    auto const held = ladder.held_from.find(stratum);
    auto const end = held == ladder.held_from.end() ? sorted.end() : std::lower_bound(sorted.begin(), sorted.end(), held->second);
    out.emplace_back(stratum, threshold == kEverybody ? end - sorted.begin() : std::min(end, std::lower_bound(sorted.begin(), sorted.end(), threshold)) - sorted.begin());
  }
  return out;
}

}  // namespace

Plan plan_of_places(Policy policy, Places& places, Millis outcome, std::int64_t fresh) {
  Plan out;
  for (auto const& [stratum, sorted] : places) out.targeted += static_cast<std::int64_t>(sorted.size());
  bool const comparable = fresh < out.targeted;
  if (!policy.preset.empty()) policy = preset_for(policy.preset, {out.targeted, static_cast<std::int64_t>(places.size()), outcome, comparable});
  out.policy = std::move(policy);
  out.ladder = out.policy.ab ? ladder_of_test(out.policy, places, out.targeted) : make_ladder(out.policy.stages, out.policy.holdback, places);
  out.holdback = out.ladder.held;
  if (out.policy.holdback > 0 && out.holdback == 0 && out.targeted > 0)
    out.warnings.push_back(fmt::format("the holdback of {} is less than half a device in every stratum: none is held back", percent_text(out.policy.holdback)));
  for (int index = 1; index <= out.policy.stage_count(); ++index) {
    auto stage = describe_stage(out.policy, out.ladder, index, comparable);
    stage.strata = strata_of(out.ladder, places, out.ladder.stage_size[static_cast<std::size_t>(index - 1)]);
    if (out.targeted > 0) warn_of_stage(out.policy, stage, out.warnings);
    out.stages.push_back(std::move(stage));
  }
  if (out.targeted == 0) out.warnings.emplace_back("no device is targeted now; those that join later will be");
  else if (!out.policy.ab) warn_of_sizes(out, out.warnings);
  if (out.policy.compares() && !out.policy.ab && out.targeted > 0 && fresh > 0)
    out.warnings.push_back(fmt::format("{} of {} devices run nothing of this model: they can be no control{}", fresh, out.targeted,
                                       comparable ? "" : ", so that absolute gates and silence judge alone"));
  if (without_gates(out.policy)) out.warnings.emplace_back("no gates: nothing stops a bad release but a person");
  return out;
}

std::vector<std::string> warn_of_sites(Policy const& policy, SiteCounts const& sites, Millis proof) {
  std::vector<std::string> out;
  auto const& limit = policy.per_place;
  if (!limit) return out;
  auto const all = sites.without == 1 ? std::string("1 device has") : fmt::format("{} devices have", sites.without);
  if (sites.without > 0) out.push_back(fmt::format("limits.per: {} no label {}: not limited", all, limit->label));
  auto const largest = std::max_element(sites.devices.begin(), sites.devices.end(), [](auto const& a, auto const& b) { return a.second < b.second; });
  if (largest == sites.devices.end() || largest->second <= limit->at_once) return out;
  auto const turns = (largest->second + limit->at_once - 1) / limit->at_once;
  auto const least = turns * proof;
  out.push_back(fmt::format("limits.per: {}={} has {} devices, {} at one time: {} turns{}, more where a download, a window or a silent device takes its time", limit->label,
                            largest->first, largest->second, limit->at_once, turns, proof > Millis{0} ? fmt::format(", at least {}", fleet::to_string(least)) : std::string()));
  auto const& last = policy.stages.back();
  if (last.deadline > Millis{0} && last.deadline < least)
    out.push_back(fmt::format("limits.per: that does not fit in the deadline of stage {}, {}", policy.stage_count(), fleet::to_string(last.deadline)));
  return out;
}

bool disjoint(registry::Selector const& a, registry::Selector const& b) {
  using Op = registry::Condition::Op;
  auto const contradicts = [](registry::Condition const& x, registry::Condition const& y) {
    // A device is in several groups: only who is in one and who is not in that one are nobody together.
    if (x.key == "group" && y.key == "group")
      return x.op == Op::in && y.op == Op::not_in && std::includes(y.values.begin(), y.values.end(), x.values.begin(), x.values.end());
    if (x.key != y.key || x.key == "running" || x.key == "state" || x.op != Op::in) return false;
    if (y.op == Op::absent) return true;
    if (y.op != Op::in && y.op != Op::not_in) return false;
    return std::none_of(x.values.begin(), x.values.end(),
                        [&](std::string const& value) { return std::binary_search(y.values.begin(), y.values.end(), value) == (y.op == Op::in); });
  };
  for (auto const& x : a.conditions())
    for (auto const& y : b.conditions())
      if (contradicts(x, y) || contradicts(y, x)) return true;
  return false;
}

}  // namespace fleet::rollout
