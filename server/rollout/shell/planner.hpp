#pragma once

#include "core/wire/release.hpp"
#include "server/rollout/engine/plan.hpp"
#include "server/rollout/engine/rows.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// What a rollout would do, before anything moves. Scans the fleet: on a worker thread only.
namespace fleet::rollout {

/// What is asked for. Policy as decoded, release as it lies in the catalog.
struct PlanRequest {
  std::string model, version, selector, salt;
  Policy policy;
  std::string sees = {};  ///< the one model that whoever asks sees; empty: all. Names of others are left out of refusals
};

/// The release that a request names. @errors not_found (`unknown_release`). In whatever state it is: starting asks for an approved one.
struct ReleaseFacts {
  std::int64_t n = 0;
  std::string state;
  std::vector<std::string> hardware;  ///< of all variants
  std::map<std::string, std::int64_t> floors;  ///< security floors above 0, by model: its own, or its members'
  Millis proof{0};  ///< golden test and probation, where all goes well
  wire::Match match;
  std::map<std::string, wire::MetricSchema, std::less<>> schema;
};
[[nodiscard]] Result<ReleaseFacts> find_release(db::Connection& reader, std::string const& model, std::string const& version);

/// The release that a test is against; nothing where the policy is none.
/// @errors not_found (`unknown_release`), unprocessable (`not_to_be_tested`: another model's, or the same one), conflict (`release_revoked`)
[[nodiscard]] Result<std::optional<ReleaseFacts>> find_against(db::Connection& reader, std::string const& model, std::string const& version, Policy const& policy);

/// The salt of the model's next rollout: `model@version#k`, k counted from 1 over all rollouts of the model. Each rollout draws its canaries anew,
/// and a plan shows the very devices that the rollout made after it will take.
[[nodiscard]] Result<std::string> next_salt(db::Connection& reader, std::string const& model, std::string const& version);

/// Scans the matching devices once and plans.
/// @errors bad_input, not_found; unprocessable (`floor_forbids_return`: on_harm is rollback, but devices could not return to what they run;
/// `too_few_to_test`)
[[nodiscard]] Result<Plan> plan(db::Connection& reader, PlanRequest const& request);

/// What most devices do: the longest interval of one, and at most twice what they do on average.
[[nodiscard]] Result<Habits> fleet_habits(db::Connection& reader);
/// How often devices came, went, or changed in what selects them.
[[nodiscard]] Result<std::int64_t> count_fleet_changes(db::Connection& reader);

/// From a device's start to its outcome at the latest: what the release takes to prove itself, and the time after which most of the fleet is silent.
/// @param proof  of the release
[[nodiscard]] Result<Millis> outcome_time(db::Connection& reader, Policy const& policy, Millis proof);
/// Devices that run the model, in all: those that run nothing of it can be no control.
[[nodiscard]] Result<std::int64_t> count_running(db::Connection& reader, std::string const& model);
/// A label of every device's own would make each device a stratum. @errors unprocessable (`too_many_strata`)
[[nodiscard]] Result<void> check_strata(Policy const& policy, std::size_t strata);

/// Live rollouts that may overlap `selector`: of the release's model, of members of a set, and of sets that share one. Cheap: looks at rollouts, not at devices.
[[nodiscard]] Result<std::vector<Conflict>> find_conflicts(db::Connection& reader, std::string const& model, std::string const& version, std::string const& selector,
                                                           std::string const& except_id);
/// A refusal by a rollout of another model, for who may not know of that.
[[nodiscard]] Error unnamed_overlap(Conflict const& conflict);

}  // namespace fleet::rollout
