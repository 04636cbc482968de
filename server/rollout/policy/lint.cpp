#include "server/rollout/policy/lint.hpp"

#include "core/stats/absolute.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fleet::rollout {
namespace {

using Findings = std::vector<Finding>;

std::string devices_text(std::int64_t count) { return count == 1 ? "1 device" : fmt::format("{} devices", count); }

/// How many devices of the fleet an amount is. As engine/membership: percent rounds up, at least one a stratum.
struct Sizes {
  std::vector<std::int64_t> strata;  ///< less the holdback
  std::int64_t reach = 0;

  Sizes(Policy const& policy, FleetFacts const& fleet) {
    for (auto const size : fleet.strata) strata.push_back(size - std::llround(policy.holdback * static_cast<double>(size)));
    reach = std::accumulate(strata.begin(), strata.end(), std::int64_t{0});
  }
  [[nodiscard]] std::int64_t of(Amount const& amount) const {
    if (amount.devices) return std::min(*amount.devices, reach);
    std::int64_t out = 0;
    for (auto const size : strata)
      if (size > 0) out += std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(*amount.percent * static_cast<double>(size) / 100 - 1e-9)), 1, size);
    return out;
  }
};

std::string at_stage(int index) { return fmt::format("/stages/{}", index - 1); }

void check_end(Policy const& policy, FleetFacts const* fleet, Findings& out) {
  if (policy.ab || policy.stages.empty()) return;
  auto const& last = policy.stages.back().size;
  auto const where = at_stage(policy.stage_count());
  constexpr std::string_view kHint = "end with {percent: 100}, unless the others are to keep their version";
  if (last.percent && *last.percent < 100) out.push_back({where + "/percent", fmt::format("the last stage ends at {:g} %: the others are never told", *last.percent), std::string(kHint)});
  if (last.devices && fleet == nullptr)
    out.push_back({where + "/devices", fmt::format("the last stage ends at {}, whatever the fleet: more than these are never told", devices_text(*last.devices)), std::string(kHint)});
  if (!last.devices || fleet == nullptr) return;
  auto const reach = Sizes(policy, *fleet).reach;
  if (*last.devices < reach)
    out.push_back({where + "/devices", fmt::format("the last stage ends at {} of {}: the others are never told", *last.devices, reach), std::string(kHint)});
}

/// A list of one a stage that is longer than the stages.
void check_length(Policy const& policy, std::size_t length, std::string_view where, Findings& out) {
  auto const stages = static_cast<std::size_t>(policy.stage_count());
  if (length > stages) out.push_back({fmt::format("{}/{}", where, stages), fmt::format("{} values for {} stages: from here on none is used", length, stages), ""});
}

void check_alone(Policy const& policy, Findings& out) {
  bool const harm = policy.failures || policy.silent || !policy.absolute.empty() || !policy.metrics.empty() || (policy.drift && policy.drift->rolls_back);
  if (!harm) out.push_back({"/gates", "no gate stops a bad release", "name failures and silent, or absolute guardrails"});
  if (policy.failures) check_length(policy, policy.failures->max_odds_ratio.size(), "/gates/failures/max_odds_ratio", out);
  check_length(policy, policy.certify.size(), "/gates/certify/devices_max", out);
  bool const evidence = !policy.certify.empty() || (policy.failures && !policy.failures->max_odds_ratio.empty());
  for (int i = 1; i <= policy.stage_count(); ++i) {
    auto const& stage = policy.stage(i);
    if ((stage.cap.devices || stage.cap.percent) && !evidence)
      out.push_back({at_stage(i) + "/cap", "no gate asks for evidence to pass, so that windows never go on to the cap", "name max_odds_ratio or certify, or leave it out"});
    if (stage.size.devices && stage.window > 0 && stage.grow == 1 && stage.deadline > Millis{0}) {
      auto const windows = (*stage.size.devices + stage.window - 1) / stage.window;
      if ((windows - 1) * stage.every >= stage.deadline)
        out.push_back({at_stage(i) + "/deadline", fmt::format("{} windows, {} apart, do not fit in {}", windows, fleet::to_string(stage.every), fleet::to_string(stage.deadline)),
                       "larger windows, a shorter `every` or a later deadline"});
    }
    if (policy.emergency && (stage.bake > Millis{0} || stage.min_devices > 0))
      out.push_back({at_stage(i) + (stage.bake > Millis{0} ? "/bake" : "/min_devices"), "an emergency does not wait for it", ""});
  }
  if (policy.device.metered_max_bytes > 0 && policy.device.metered != "avoid")
    out.push_back({"/device/metered_max", fmt::format("counts only with metered: avoid, and metered is {}", policy.device.metered), ""});
}

void check_labels(Policy const& policy, FleetFacts const& fleet, Findings& out) {
  auto const nobody = [&](std::string const& label) {
    auto const found = fleet.labels.find(label);
    return found == fleet.labels.end() || found->second == 0;
  };
  std::string const hint = "fleetctl device list -o json shows the labels that devices have";
  for (std::size_t i = 0; i < policy.strata.size(); ++i)
    if (policy.strata[i] != "hardware" && nobody(policy.strata[i]))
      out.push_back({fmt::format("/strata/{}", i), fmt::format("none of the {} has the label '{}'", devices_text(fleet.targeted), policy.strata[i]), hint});
  if (policy.per_place && policy.per_place->label != "hardware" && nobody(policy.per_place->label))
    out.push_back({"/limits/per", fmt::format("none of the {} has the label '{}': nothing is limited", devices_text(fleet.targeted), policy.per_place->label), hint});
}

void check_counts_of(int index, Policy const& policy, Sizes const& sizes, std::int64_t before, Findings& out) {
  auto const& stage = policy.stage(index);
  auto const where = at_stage(index);
  auto const size = sizes.of(stage.size);
  if (stage.size.devices && *stage.size.devices > sizes.reach)
    out.push_back({where + "/devices", fmt::format("{} are more than the fleet has: {}", devices_text(*stage.size.devices), sizes.reach), "a percentage fits every fleet"});
  if (index > 1 && size <= before)
    out.push_back({where, fmt::format("adds nobody: it ends at {}, where the stage before ends", devices_text(size)), "leave it out, or make it larger"});
  if (stage.cap.devices && *stage.cap.devices > sizes.reach)
    out.push_back({where + "/cap", fmt::format("{} are more than the fleet has: {}", devices_text(*stage.cap.devices), sizes.reach), "a share fits every fleet, such as 90%"});
  auto const most = stage.cap.devices || stage.cap.percent ? std::max(size, sizes.of(stage.cap)) : size;
  if (stage.min_devices > most)
    out.push_back({where + "/min_devices", fmt::format("{} must be decided, and the stage has {}: it never passes by itself", stage.min_devices, devices_text(most)), ""});
  if (stage.window > size)
    out.push_back({where + "/window", fmt::format("a window of {} is more than the stage, {}", devices_text(stage.window), size), ""});
  auto const share = policy.certify_at(index);
  if (!share || policy.odds_ratio_at(index) || stats::certify({0, most}, *share).reaches(policy.certify_evidence)) return;
  auto const item = std::min<std::size_t>(static_cast<std::size_t>(index), policy.certify.size()) - 1;
  out.push_back({fmt::format("/gates/certify/devices_max/{}", item),
                 fmt::format("{}, all healthy, are no evidence that fewer than {} are bad: stage {} never passes by itself", devices_text(most), percent_text(*share), index),
                 "a larger share, or a larger stage"});
}

void check_counts(Policy const& policy, FleetFacts const& fleet, Findings& out) {
  Sizes const sizes(policy, fleet);
  std::int64_t before = 0;
  for (int i = 1; i <= policy.stage_count() && !policy.ab; ++i) {
    check_counts_of(i, policy, sizes, before, out);
    before = std::max(before, sizes.of(policy.stage(i).size));
  }
  if (policy.in_flight >= fleet.targeted)
    out.push_back({"/limits/in_flight", fmt::format("{} limits nothing: there are {}", policy.in_flight, devices_text(fleet.targeted)), ""});
  if (policy.per_place && policy.per_place->at_once >= fleet.targeted)
    out.push_back({"/limits/at_once", fmt::format("{} limits nothing: there are {}", policy.per_place->at_once, devices_text(fleet.targeted)), ""});
}

void check_metrics(Policy const& policy, std::set<std::string> const& sent, Findings& out) {
  constexpr std::size_t kNamed = 8;
  std::vector<std::string> some;
  for (auto const& metric : sent)
    if (some.size() < kNamed) some.push_back(metric);
  auto const hint = some.empty() ? std::string("no device sent any metric yet") : fmt::format("sent are {}{}", fmt::join(some, ", "), sent.size() > kNamed ? ", ..." : "");
  auto const look = [&](std::string const& metric, std::string pointer) {
    if (metric != kInstallFailure && !sent.contains(metric)) out.push_back({std::move(pointer), fmt::format("no device ever sent '{}'", metric), hint});
  };
  for (std::size_t i = 0; i < policy.absolute.size(); ++i) look(policy.absolute[i].metric, fmt::format("/gates/absolute/{}/metric", i));
  for (std::size_t i = 0; i < policy.metrics.size(); ++i) look(policy.metrics[i].name, fmt::format("/gates/metrics/{}/name", i));
  if (policy.drift)
    for (std::size_t i = 0; i < policy.drift->metrics.size(); ++i) look(policy.drift->metrics[i], fmt::format("/gates/drift/metrics/{}", i));
}

void check_match(MatchFacts const& match, Findings& out) {
  if (match.with_variant == 0) {
    out.push_back({"", fmt::format("no selected device has hardware that {} has a variant for", match.release), "fleetctl release get shows its variants"});
    return;
  }
  for (auto const& rule : match.rules)
    if (rule.met == 0) out.push_back({"", fmt::format("none of {} meets what {} asks for: {}", devices_text(match.with_variant), match.release, rule.text), "match of its manifest"});
}

}  // namespace

std::vector<std::string> labels_of(Policy const& policy) {
  std::set<std::string> out(policy.strata.begin(), policy.strata.end());
  if (policy.per_place) out.insert(policy.per_place->label);
  out.erase("hardware");
  return {out.begin(), out.end()};
}

std::vector<Finding> lint(Policy const& policy, FleetFacts const* fleet) {
  std::vector<Finding> out;
  if (!policy.preset.empty()) return out;
  check_end(policy, fleet, out);
  check_alone(policy, out);
  if (fleet == nullptr) return out;
  if (fleet->match) check_match(*fleet->match, out);
  if (fleet->targeted == 0) {
    if (!fleet->match) out.push_back({"", "no device is selected", "fleetctl device list -l SELECTOR shows who would be"});
    return out;
  }
  check_counts(policy, *fleet, out);
  check_labels(policy, *fleet, out);
  if (fleet->metrics) check_metrics(policy, *fleet->metrics, out);
  return out;
}

}  // namespace fleet::rollout
