#include "server/rollout/shell/planner.hpp"

#include "core/wire/release.hpp"
#include "server/registry/device_facts.hpp"
#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::rollout {
namespace {

/// Rows that create writes: one a stratum and stage. A label of every device's own would make each device a stratum.
constexpr std::size_t kMembershipRowsMax = 10'000;

Error too_many_strata(Policy const& policy, std::size_t max) {
  auto const detail = fmt::format("the strata {} part the devices into more than {} classes, with {} stages", fmt::join(policy.strata, ", "), max, policy.stage_count());
  return {Kind::unprocessable, "too_many_strata", detail, "name labels of few values, such as region, or fewer stages", {{"/policy/strata", detail}}};
}

Error unknown_release(std::string const& model, std::string const& version) {
  return {Kind::not_found, "unknown_release", fmt::format("there is no release {}@{}", model, version), "fleetctl release list shows what there is"};
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
  auto const strata_max = kMembershipRowsMax / static_cast<std::size_t>(request.policy.stage_count() + 1);
  std::set<std::string> running;
  std::int64_t ineligible = 0;
  auto const take = [&](registry::DeviceFacts const& device) -> Result<void> {
    if (std::find(release.hardware.begin(), release.hardware.end(), device.hardware) == release.hardware.end()) {
      ++ineligible;
      return {};
    }
    places[stratum_of(request.policy.strata, device.hardware, device.labels)].push_back(place(request.salt, device.id));
    if (places.size() > strata_max) return too_many_strata(request.policy, strata_max);
    for (std::size_t i = 0; i < others.size(); ++i) conflicts[i].devices += others[i].matches(view_of(device));
    if (release.security_floor == 0) return {};
    auto row = reader.prepare(queries::kRunningVersion);
    row.bind_all(device.n, request.model);
    FLEET_TRY(bool const found, row.step());
    if (found && !row.is_null(0)) running.insert(row.text(0));
    return {};
  };
  FLEET_CHECK(registry::scan_selected(reader, selector, take));
  FLEET_CHECK(check_floors(reader, request, release, running));
  auto out = plan_of_places(request.policy, places);
  out.ineligible = ineligible;
  if (ineligible > 0) out.warnings.push_back(fmt::format("{} selected devices have hardware the release has no variant for", ineligible));
  if (release.state != "approved") out.warnings.push_back(fmt::format("the release is {}: it must be approved before the rollout starts", release.state));
  out.conflicts = std::move(conflicts);
  return out;
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
