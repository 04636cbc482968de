#pragma once

#include "server/registry/selector.hpp"
#include "server/rollout/membership.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// What a rollout would do, before anything moves. Scans the fleet: on a worker thread only.
namespace fleet::rollout {

/// What is asked for. Policy as decoded, release as it lies in the catalog.
struct PlanRequest {
  std::string model, version, selector, salt;
  Policy policy;
};

struct StagePlan {
  int index = 0;
  double percent = 0;
  std::int64_t devices = 0;
  std::vector<std::pair<std::string, std::int64_t>> strata;
  std::vector<std::string> detects;  ///< one sentence a harm gate
  std::string certifies;
};
struct Conflict {
  std::string rollout, state, selector;
  std::int64_t devices = 0;  ///< of the targeted; counted by `plan` alone
};
struct Plan {
  std::int64_t targeted = 0;
  std::int64_t holdback = 0;    ///< of the targeted: they follow once the rollout has completed
  std::int64_t ineligible = 0;  ///< selected, but the release has no variant for their hardware
  std::vector<StageStratum> membership;
  std::vector<StagePlan> stages;
  std::vector<Conflict> conflicts;  ///< live rollouts of the model whose selectors may overlap
  std::vector<std::string> warnings;
};

/// The release that a request names. @errors not_found (`unknown_release`). In whatever state it is: starting asks for an approved one.
struct ReleaseFacts {
  std::int64_t n = 0;
  std::string state;
  std::vector<std::string> hardware;  ///< of all variants
  std::int64_t security_floor = 0;
};
[[nodiscard]] Result<ReleaseFacts> find_release(db::Connection& reader, std::string const& model, std::string const& version);

/// The salt of the model's next rollout: `model@version#k`, k counted from 1 over all rollouts of the model. Each rollout draws its canaries anew,
/// and a plan shows the very devices that the rollout made after it will take.
[[nodiscard]] Result<std::string> next_salt(db::Connection& reader, std::string const& model, std::string const& version);

/// Scans the matching devices once and plans.
/// @errors bad_input, not_found; unprocessable (`floor_forbids_return`): on_harm is rollback, but devices could not return to what they run
[[nodiscard]] Result<Plan> plan(db::Connection& reader, PlanRequest const& request);

/// The pure part: stages, power and warnings from the places of the targeted devices.
[[nodiscard]] Plan plan_of_places(Policy const& policy, Places& places);

/// True when no device can match both: some label or field must have different values.
[[nodiscard]] bool disjoint(registry::Selector const& a, registry::Selector const& b);
/// Live rollouts of a model that may overlap `selector`. Cheap: looks at rollouts, not at devices.
[[nodiscard]] Result<std::vector<Conflict>> find_conflicts(db::Connection& reader, std::string const& model, std::string const& selector,
                                                           std::string const& except_id);

}  // namespace fleet::rollout
