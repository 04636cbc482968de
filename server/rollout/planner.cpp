#include "server/rollout/planner.hpp"

#include "core/stats/absolute.hpp"
#include "core/wire/release.hpp"
#include "server/rollout/device_facts.hpp"
#include "server/rollout/judge.hpp"
#include "server/rollout/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::rollout {
namespace {

Error unknown_release(std::string const& model, std::string const& version) {
  return {Kind::not_found, "unknown_release", fmt::format("there is no release {}@{}", model, version), "fleetctl release list shows what there is"};
}

std::string detects(std::string_view gate, std::int64_t devices, double p0, double alpha) {
  auto const trips = stats::trips_at(devices, p0, alpha);
  auto const terms = fmt::format("(p0 {}, alpha {:g})", percent_text(p0), alpha);
  if (trips) return fmt::format("harm gate {}: trips at {} of {} bad devices {}", gate, *trips, devices, terms);
  return fmt::format("harm gate {}: cannot trip with {} devices, takes {} bad ones {}", gate, devices, stats::harm_needs(p0, alpha), terms);
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
  if (bound) out.certifies = fmt::format("fewer than {} bad after {} healthy devices", percent_text(*bound), stats::certify_needs(*bound));
  else if (devices > 0)
    out.certifies = fmt::format("nothing is asked for; {} healthy devices could certify fewer than {} bad", devices, percent_text(stats::certifiable(devices)));
  return out;
}

void warn_of_stage(Policy const& policy, StagePlan const& stage, std::vector<std::string>& warnings) {
  auto const bound = policy.certify_at(stage.index);
  if (bound && stats::certify_needs(*bound) > stage.devices)
    warnings.push_back(fmt::format(
        "stage {} has {} devices; certifying fewer than {} bad takes {} healthy ones ({} certify fewer than {} at best): it will hold until its deadline or a "
        "promote",
        stage.index, stage.devices, percent_text(*bound), stats::certify_needs(*bound), stage.devices, percent_text(stats::certifiable(stage.devices))));
  auto const least = policy.stage(stage.index).min_devices;
  if (least > stage.devices)
    warnings.push_back(
        fmt::format("stage {} has {} devices, but min_devices is {}: it will hold until its deadline or a promote", stage.index, stage.devices, least));
}

/// A version that devices run now and would have to return to must not lie below the new release's floor.
Result<void> check_floors(db::Connection& reader, PlanRequest const& request, ReleaseFacts const& release, std::set<std::string> const& running) {
  if (request.policy.on_harm != OnHarm::rollback || release.security_floor == 0) return {};
  for (auto const& version : running) {
    auto row = reader.prepare(queries::kFindRelease);
    row.bind_all(request.model, version);
    FLEET_TRY(bool const found, row.step());
    if (!found) continue;
    FLEET_TRY(auto const before, wire::decode_release(row.text_view(2)));
    if (release.security_floor <= before.release_counter) continue;
    auto const detail = fmt::format("devices run {}@{} (counter {}), below the security floor {} of {}: they could not return to it", request.model, version,
                                    before.release_counter, release.security_floor, request.version);
    return Error{Kind::unprocessable, "floor_forbids_return", detail, "write on_harm: pause", {{"/policy/on_harm", detail}}};
  }
  return {};
}

}  // namespace

Result<ReleaseFacts> find_release(db::Connection& reader, std::string const& model, std::string const& version) {
  auto row = reader.prepare(queries::kFindRelease);
  row.bind_all(model, version);
  FLEET_TRY(bool const found, row.step());
  if (!found) return unknown_release(model, version);
  ReleaseFacts out;
  out.n = row.int64(0);
  out.state = row.text(1);
  FLEET_TRY(auto const release, wire::decode_release(row.text_view(2)));
  out.security_floor = release.manifest.security_floor;
  for (auto const& variant : release.variants) out.hardware.insert(out.hardware.end(), variant.hardware.begin(), variant.hardware.end());
  return out;
}

Result<std::string> next_salt(db::Connection& reader, std::string const& model, std::string const& version) {
  auto row = reader.prepare(queries::kCountOfModel);
  row.bind_all(model);
  FLEET_TRY(bool const found, row.step());
  return fmt::format("{}@{}#{}", model, version, found ? row.int64(0) + 1 : 1);
}

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

Result<Plan> plan(db::Connection& reader, PlanRequest const& request) {
  FLEET_TRY(auto const release, find_release(reader, request.model, request.version));
  FLEET_TRY(auto const selector, registry::Selector::parse(request.selector));
  FLEET_TRY(auto conflicts, find_conflicts(reader, request.model, request.selector, ""));
  std::vector<registry::Selector> others;
  for (auto const& conflict : conflicts) {
    FLEET_TRY(auto other, registry::Selector::parse(conflict.selector));
    others.push_back(std::move(other));
  }
  Places places;
  std::set<std::string> running;
  std::int64_t ineligible = 0;
  auto const take = [&](DeviceFacts const& device) -> Result<void> {
    if (std::find(release.hardware.begin(), release.hardware.end(), device.hardware) == release.hardware.end()) {
      ++ineligible;
      return {};
    }
    places[stratum_of(request.policy.strata, device.hardware, device.labels)].push_back(place(request.salt, device.id));
    for (std::size_t i = 0; i < others.size(); ++i) conflicts[i].devices += others[i].matches(view_of(device));
    if (release.security_floor == 0) return {};
    auto row = reader.prepare(queries::kRunningVersion);
    row.bind_all(device.n, request.model);
    FLEET_TRY(bool const found, row.step());
    if (found && !row.is_null(0)) running.insert(row.text(0));
    return {};
  };
  FLEET_CHECK(scan_selected(reader, selector, take));
  FLEET_CHECK(check_floors(reader, request, release, running));
  auto out = plan_of_places(request.policy, places);
  out.ineligible = ineligible;
  if (ineligible > 0) out.warnings.push_back(fmt::format("{} selected devices have hardware the release has no variant for", ineligible));
  if (release.state != "approved") out.warnings.push_back(fmt::format("the release is {}: it must be approved before the rollout starts", release.state));
  out.conflicts = std::move(conflicts);
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

Result<std::vector<Conflict>> find_conflicts(db::Connection& reader, std::string const& model, std::string const& selector, std::string const& except_id) {
  FLEET_TRY(auto const mine, registry::Selector::parse(selector));
  std::vector<Conflict> out;
  auto rows = reader.prepare(queries::kLiveOfModel);
  rows.bind_all(model);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    Conflict found{rows.text(0), rows.text(1), rows.text(2)};
    FLEET_TRY(auto const theirs, registry::Selector::parse(found.selector));
    if (found.rollout != except_id && !disjoint(mine, theirs)) out.push_back(std::move(found));
  }
}

}  // namespace fleet::rollout
