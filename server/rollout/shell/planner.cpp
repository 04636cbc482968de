#include "server/rollout/shell/planner.hpp"

#include "server/rollout/engine/rows.hpp"

#include "core/wire/release.hpp"
#include "server/registry/device_facts.hpp"
#include "server/registry/groups.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/set_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::rollout {
namespace {

constexpr std::size_t kStrataMax = 1'000;
/// Devices that poll once a day do not make a rollout wait for each window's end by days.
constexpr Millis kGapMax = std::chrono::hours(6);

Error unknown_release(std::string const& model, std::string const& version) {
  return {Kind::not_found, "unknown_release", fmt::format("there is no release {}@{}", model, version), "fleetctl release list shows what there is"};
}

/// A version that devices run now and would have to return to must not lie below the new release's floor.
/// @param running  by model
Result<void> check_floors(db::Connection& reader, PlanRequest const& request, ReleaseFacts const& release, std::map<std::string, std::set<std::string>> const& running) {
  if (request.policy.on_harm != OnHarm::rollback) return {};
  for (auto const& [model, versions] : running)
    for (auto const& version : versions) {
      auto row = reader.prepare(queries::kFindRelease);
      row.bind_all(model, version);
      FLEET_TRY(bool const found, row.step());
      if (!found) continue;
      FLEET_TRY(auto const before, wire::decode_release(row.text_view(2)));
      auto const floor = release.floors.find(model);
      if (floor == release.floors.end() || floor->second <= before.release_counter) continue;
      bool const named = request.sees.empty() || request.sees == model;
      auto const detail = named ? fmt::format("devices run {}@{} (counter {}), below the security floor {} of {}@{}: they could not return to it", model, version,
                                              before.release_counter, floor->second, request.model, request.version)
                                : fmt::format("devices run a release of a member of {}@{} that is below the member's security floor: they could not return to it", request.model,
                                              request.version);
      return Error{Kind::unprocessable, "floor_forbids_return", detail, "write on_harm: pause", {{"/policy/on_harm", detail}}};
    }
  return {};
}

/// The models that a release moves: its own, and its members'.
Result<std::vector<std::string>> moved_models(db::Connection& reader, std::string const& model, std::string const& version) {
  std::vector<std::string> out{model};
  auto rows = reader.prepare(queries::kMemberModels);
  rows.bind_all(model, version);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(rows.text(0));
  }
}

/// Empty: none.
Result<std::string> running_version(db::Connection& reader, std::int64_t device_n, std::string const& model) {
  auto row = reader.prepare(queries::kRunningVersion);
  row.bind_all(device_n, model);
  FLEET_TRY(bool const found, row.step());
  return found && !row.is_null(0) ? row.text(0) : std::string();
}

Result<void> add_arrivals(db::Connection& reader, std::map<std::string, std::string> const& moved, registry::DeviceFacts const& device, std::map<Arrival, std::int64_t>& out) {
  for (auto const& [model, version] : moved) {
    FLEET_TRY(auto from, running_version(reader, device.n, model));
    ++out[{model, version, device.hardware, std::move(from)}];
  }
  return {};
}

/// The releases that devices get, by model: its own, or its members'.
Result<std::map<std::string, std::string>> moved_releases(db::Connection& reader, std::string const& model, std::string const& version, std::int64_t n) {
  std::map<std::string, std::string> out;
  auto rows = reader.prepare(queries::kMemberVersions);
  rows.bind_all(n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    out.emplace(rows.text(0), rows.text(1));
  }
  if (out.empty()) out.emplace(model, version);
  return out;
}

}  // namespace

Result<Habits> fleet_habits(db::Connection& reader) {
  auto row = reader.prepare(queries::kGaps);
  FLEET_TRY(bool const found, row.step());
  Habits habits;
  if (found && !row.is_null(0)) {
    habits.poll = std::min<Millis>(seconds(std::min(row.int64(0), 2 * row.int64(1))), kGapMax);
    habits.report = std::min<Millis>(seconds(std::min(row.int64(2), 2 * row.int64(3))), kGapMax);
  }
  return habits;
}

Result<Millis> outcome_time(db::Connection& reader, Policy const& policy, Millis proof) {
  FLEET_TRY(auto const habits, fleet_habits(reader));
  return proof + silent_after(habits, policy.silent.value_or(SilentGate{}).after_reports);
}

Result<std::int64_t> count_running(db::Connection& reader, std::string const& model) {
  auto row = reader.prepare(queries::kCountRunning);
  row.bind_all(model);
  FLEET_TRY(bool const found, row.step());
  return found ? row.int64(0) : 0;
}

Result<void> check_strata(Policy const& policy, std::size_t strata) {
  if (strata <= kStrataMax) return {};
  auto const detail = fmt::format("the strata {} part the devices into more than {} classes", fmt::join(policy.strata, ", "), kStrataMax);
  return Error{Kind::unprocessable, "too_many_strata", detail, "name labels of few values, such as region", {{"/policy/strata", detail}}};
}

/// Drift compares shares of bins over a metric's range, which its release declares.
Result<void> check_drift(Policy const& policy, std::map<std::string, wire::MetricSchema, std::less<>> const& schema) {
  if (!policy.drift) return {};
  std::vector<FieldError> faults;
  for (std::size_t i = 0; i < policy.drift->metrics.size(); ++i) {
    auto const& name = policy.drift->metrics[i];
    auto const found = schema.find(name);
    if (found != schema.end() && found->second.range) continue;
    faults.push_back({fmt::format("/policy/gates/drift/metrics/{}", i), fmt::format("the release declares no range of {}", name)});
  }
  if (faults.empty()) return {};
  return Error{Kind::unprocessable, "drift_needs_range", faults.front().detail, "its manifest says it: schema: {confidence: {range: [0, 1]}}; or leave the gate out", faults};
}

Result<ReleaseFacts> find_release(db::Connection& reader, std::string const& model, std::string const& version) {
  auto row = reader.prepare(queries::kFindRelease);
  row.bind_all(model, version);
  FLEET_TRY(bool const found, row.step());
  if (!found) return unknown_release(model, version);
  ReleaseFacts out;
  out.n = row.int64(0);
  out.state = row.text(1);
  FLEET_TRY(auto const whole, load_whole(reader, out.n, row.text_view(2)));
  auto const& release = whole.release;
  auto const note_floor = [&](wire::Release const& one) {
    if (one.manifest.security_floor > 0) out.floors[one.model] = one.manifest.security_floor;
  };
  note_floor(release);
  for (auto const& member : whole.members) note_floor(member);
  if (release.manifest.golden) out.proof += release.manifest.golden->timeout;
  if (release.manifest.probation) out.proof += release.manifest.probation->time;
  out.match = release.manifest.match;
  out.schema = release.manifest.schema;
  for (auto const& variant : release.variants) out.hardware.insert(out.hardware.end(), variant.hardware.begin(), variant.hardware.end());
  return out;
}

Result<std::optional<ReleaseFacts>> find_against(db::Connection& reader, std::string const& model, std::string const& version, Policy const& policy) {
  if (!policy.ab) return std::optional<ReleaseFacts>();
  auto const refused = [&](std::string const& detail) { return Error{Kind::unprocessable, "not_to_be_tested", detail, "two releases of one model, such as " + model + "@1.4.0", {{"/policy/ab/against", detail}}}; };
  auto const& test = *policy.ab;
  if (test.model() != model) return refused(fmt::format("{} is of another model than {}@{}", test.against, model, version));
  if (test.version() == version) return refused(fmt::format("{} is the rollout's own release", test.against));
  FLEET_TRY(auto release, find_release(reader, model, test.version()));
  for (auto const& one : {version, test.version()}) {
    FLEET_TRY(auto const moved, moved_models(reader, model, one));
    if (moved.size() > 1) return refused(fmt::format("{}@{} is a set: a test compares two releases of one model", model, one));
  }
  if (release.state == "revoked") return Error{Kind::conflict, "release_revoked", fmt::format("release {} was revoked", test.against)};
  return std::optional(std::move(release));
}

Result<std::string> next_salt(db::Connection& reader, std::string const& model, std::string const& version) {
  auto row = reader.prepare(queries::kCountOfModel);
  row.bind_all(model);
  FLEET_TRY(bool const found, row.step());
  return fmt::format("{}@{}#{}", model, version, found ? row.int64(0) + 1 : 1);
}

Result<std::int64_t> count_fleet_changes(db::Connection& reader) {
  auto row = reader.prepare(queries::kFleetChanges);
  FLEET_TRY(bool const found, row.step());
  return found ? row.int64(0) : 0;
}

namespace {

/// Either release of a test may become what a device gets: who can run both is targeted. Returns the models that have a floor in either.
std::map<std::string, std::int64_t> join_test(ReleaseFacts& release, std::optional<ReleaseFacts> const& against) {
  std::map<std::string, std::int64_t> floors(release.floors.begin(), release.floors.end());
  if (!against) return floors;
  std::erase_if(release.hardware, [&](std::string const& one) { return std::find(against->hardware.begin(), against->hardware.end(), one) == against->hardware.end(); });
  release.proof = std::max(release.proof, against->proof);
  floors.insert(against->floors.begin(), against->floors.end());
  return floors;
}

}  // namespace

Result<Plan> plan(db::Connection& reader, PlanRequest const& request) {
  FLEET_TRY(auto const fleet, count_fleet_changes(reader));  // before the devices: what changes meanwhile makes the plan look older than it is, never newer
  FLEET_TRY(auto release, find_release(reader, request.model, request.version));
  FLEET_TRY(auto const against, find_against(reader, request.model, request.version, request.policy));
  FLEET_CHECK(check_drift(request.policy, release.schema));
  auto const floors = join_test(release, against);
  FLEET_TRY(auto const selector, registry::read_selector(reader, request.selector));
  FLEET_TRY(auto conflicts, find_conflicts(reader, request.model, request.version, request.selector, ""));
  std::vector<registry::Selector> others;
  for (auto const& conflict : conflicts) {
    FLEET_TRY(auto other, registry::read_kept_selector(reader, conflict.selector));
    others.push_back(std::move(other));
  }
  bool const ask_groups = std::any_of(others.begin(), others.end(), [](auto const& other) { return other.asks_groups(); });
  Places places;
  std::map<std::string, std::set<std::string>> running;
  std::int64_t ineligible = 0;
  SiteCounts sites;
  FLEET_TRY(auto const moved, moved_releases(reader, request.model, request.version, release.n));
  std::map<Arrival, std::int64_t> arrivals;
  auto const take = [&](registry::DeviceFacts const& device) -> Result<void> {
    if (std::find(release.hardware.begin(), release.hardware.end(), device.hardware) == release.hardware.end()) {
      ++ineligible;
      return {};
    }
    places[stratum_of(request.policy.strata, device.hardware, device.labels)].push_back(place(request.salt, device.id));
    FLEET_CHECK(check_strata(request.policy, places.size()));
    if (auto const& limit = request.policy.per_place) {
      auto const site = site_of(limit->label, device.hardware, device.labels);
      ++(site ? sites.devices[site->value] : sites.without);
    }
    auto seen = view_of(device);
    std::set<std::string> lists;
    if (ask_groups) {
      FLEET_TRY(lists, registry::load_lists(reader, device.id));
      seen.lists = &lists;
    }
    for (std::size_t i = 0; i < others.size(); ++i) conflicts[i].devices += others[i].matches(seen);
    for (auto const& [model, floor] : floors) {
      FLEET_TRY(auto const version, running_version(reader, device.n, model));
      if (!version.empty()) running[model].insert(version);
    }
    return add_arrivals(reader, moved, device, arrivals);
  };
  FLEET_CHECK(registry::scan_selected(reader, selector, take));
  FLEET_CHECK(check_floors(reader, request, release, running));
  if (against) {
    auto other = request;
    other.version = request.policy.ab->version();
    FLEET_CHECK(check_floors(reader, other, *against, running));
  }
  FLEET_TRY(auto const outcome, outcome_time(reader, request.policy, release.proof));
  FLEET_TRY(auto const running_now, count_running(reader, request.model));
  std::int64_t targeted = 0;
  for (auto const& [stratum, of_stratum] : places) targeted += static_cast<std::int64_t>(of_stratum.size());
  if (against && targeted < 2)
    return Error{Kind::unprocessable, "too_few_to_test", fmt::format("{} devices have hardware that both releases have a variant for: a test takes two at least", targeted),
                 "another selector, or a rollout with stages"};
  auto out = plan_of_places(request.policy, places, outcome, std::max<std::int64_t>(0, targeted - running_now));
  out.fleet = fleet;
  out.ineligible = ineligible;
  if (ineligible > 0) out.warnings.push_back(fmt::format("{} selected devices have hardware {} no variant for", ineligible, against ? "one of the releases has" : "the release has"));
  for (auto& warning : warn_of_sites(out.policy, sites, release.proof)) out.warnings.push_back(std::move(warning));
  if (release.state != "approved") out.warnings.push_back(fmt::format("the release is {}: it must be approved before the rollout starts", release.state));
  if (against && against->state != "approved") out.warnings.push_back(fmt::format("{} is {}: it must be approved before the rollout starts", request.policy.ab->against, against->state));
  out.conflicts = std::move(conflicts);
  out.arrivals = std::move(arrivals);
  return out;
}

Error unnamed_overlap(Conflict const& conflict) {
  return {Kind::conflict, "rollout_overlaps", fmt::format("a rollout of another model is {}, moves models that this one moves, and may cover the same devices", conflict.state),
          "wait for it to end, or ask somebody who sees that model"};
}

Result<std::vector<Conflict>> find_conflicts(db::Connection& reader, std::string const& model, std::string const& version, std::string const& selector,
                                             std::string const& except_id) {
  FLEET_TRY(auto const mine, registry::Selector::parse(selector));
  FLEET_TRY(auto const models, moved_models(reader, model, version));
  std::vector<Conflict> out;
  std::set<std::string> seen{except_id};
  for (auto const& moved : models)
    for (auto const& query : {queries::kLiveOfModel, queries::kLiveSetsWith}) {
      auto rows = reader.prepare(query);
      rows.bind_all(moved);
      while (true) {
        FLEET_TRY(bool const more, rows.step());
        if (!more) break;
        Conflict found{rows.text(0), rows.text(1), rows.text(2), rows.text(3)};
        FLEET_TRY(auto const theirs, registry::Selector::parse(found.selector));
        if (seen.insert(found.rollout).second && !disjoint(mine, theirs)) out.push_back(std::move(found));
      }
    }
  return out;
}

}  // namespace fleet::rollout
