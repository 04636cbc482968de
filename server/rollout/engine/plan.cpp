#include "server/rollout/engine/plan.hpp"

#include "core/stats/absolute.hpp"
#include "server/rollout/gates/judge.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace {

std::string detects(std::string_view gate, std::int64_t devices, double p0, double alpha) {
  auto const trips = stats::trips_at(devices, p0, alpha);
  auto const terms = fmt::format("(p0 {}, alpha {:g})", percent_text(p0), alpha);
  if (trips) return fmt::format("harm gate {}: trips at {} of {} bad devices {}", gate, *trips, devices, terms);
  return fmt::format("harm gate {}: cannot trip with {} devices, takes {} bad ones {}", gate, devices, needed_text(stats::harm_needs(p0, alpha)), terms);
}

StagePlan describe_stage(Policy const& policy, int index, std::int64_t devices, std::int64_t targeted) {
  StagePlan out;
  out.index = index;
  out.devices = devices;
  auto const& stage = policy.stage(index);
  out.percent = stage.percent ? *stage.percent : targeted == 0 ? 0 : 100. * static_cast<double>(devices) / static_cast<double>(targeted);
  for (auto const& gate : policy.absolute) out.detects.push_back(detects(gate.metric, devices, gate.devices_max, kAlphaAbsolute));
  if (policy.silent) out.detects.push_back(detects("silent", devices, policy.silent->devices_max, kAlphaSilent));
  auto const bound = policy.certify_at(index);
  if (bound) out.certifies = fmt::format("fewer than {} bad after {} healthy devices", percent_text(*bound), needed_text(stats::certify_needs(*bound)));
  else if (devices > 0)
    out.certifies = fmt::format("nothing is asked for; {} healthy devices could certify fewer than {} bad", devices, percent_text(stats::certifiable(devices)));
  return out;
}

void warn_of_stage(Policy const& policy, StagePlan const& stage, std::vector<std::string>& warnings) {
  auto const bound = policy.certify_at(stage.index);
  auto const needed = bound ? stats::certify_needs(*bound) : std::nullopt;
  if (bound && (!needed || *needed > stage.devices))
    warnings.push_back(fmt::format(
        "stage {} has {} devices; certifying fewer than {} bad takes {} healthy ones ({} certify fewer than {} at best): it will hold until its deadline or a "
        "promote",
        stage.index, stage.devices, percent_text(*bound), needed_text(needed), stage.devices, percent_text(stats::certifiable(stage.devices))));
  auto const least = policy.stage(stage.index).min_devices;
  if (least > stage.devices)
    warnings.push_back(
        fmt::format("stage {} has {} devices, but min_devices is {}: it will hold until its deadline or a promote", stage.index, stage.devices, least));
}

}  // namespace

Plan plan_of_places(Policy const& policy, Places& places) {
  Plan out;
  out.membership = plan_stages(policy.stages, policy.holdback, places);
  for (auto const& [stratum, sorted] : places) out.targeted += static_cast<std::int64_t>(sorted.size());
  for (auto const& one : out.membership)
    if (one.stage == kHeldBack) out.holdback += one.devices;
  if (policy.holdback > 0 && out.holdback == 0 && out.targeted > 0)
    out.warnings.push_back(fmt::format("the holdback of {} is less than half a device in every stratum: none is held back", percent_text(policy.holdback)));
  for (int index = 1; index <= policy.stage_count(); ++index) {
    std::int64_t devices = 0;
    std::vector<std::pair<std::string, std::int64_t>> strata;
    for (auto const& one : out.membership)
      if (one.stage == index) {
        devices += one.devices;
        strata.emplace_back(one.stratum, one.devices);
      }
    auto stage = describe_stage(policy, index, devices, out.targeted);
    stage.strata = std::move(strata);
    if (out.targeted > 0) warn_of_stage(policy, stage, out.warnings);
    out.stages.push_back(std::move(stage));
  }
  if (out.targeted == 0) out.warnings.emplace_back("no device is targeted now; those that join later will be");
  if (policy.absolute.empty() && !policy.silent && policy.certify.empty()) out.warnings.emplace_back("no gates: nothing stops a bad release but a person");
  return out;
}

bool disjoint(registry::Selector const& a, registry::Selector const& b) {
  using Op = registry::Condition::Op;
  auto const contradicts = [](registry::Condition const& x, registry::Condition const& y) {
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
