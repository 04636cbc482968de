#pragma once

#include "server/registry/limits.hpp"
#include "server/rollout/policy/lint.hpp"
#include "server/rollout/policy/presets.hpp"
#include "server/store/store.hpp"

#include <string>

/// What a policy meets in a fleet, before there is a rollout: for lint and for presets. Scans the fleet: on a worker thread only.
namespace fleet::rollout {

struct SurveyRequest {
  std::string selector;        ///< empty: all devices
  std::string model, version;  ///< of a release; both empty: none
};
struct Survey {
  FleetShape shape;
  FleetFacts facts;
};
/// Scans the selected devices once.
/// @param policy  whose strata and labels are counted
/// @param limits  of the one who asks: metrics of other models are not told, and none where they are of some devices alone
/// @errors bad_input, not_found (`unknown_release`), unprocessable (`too_many_strata`); as find_against, where the policy is a test and a release is named
[[nodiscard]] Result<Survey> survey(db::Connection& reader, SurveyRequest const& request, Policy const& policy, registry::Limits const& limits);

/// A preset as what it is for the surveyed fleet; any other policy as it is.
[[nodiscard]] Policy fitted(Policy policy, Survey const& survey);

}  // namespace fleet::rollout
