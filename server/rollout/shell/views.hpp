#pragma once

#include "server/registry/limits.hpp"
#include "server/rollout/shell/planner.hpp"
#include "server/rollout/shell/record.hpp"

#include <string>
#include <vector>

/// Rollouts as the API sends them (docs/api.md, Rollouts; schema/openapi.yaml). Counts read an index of the rollout's rows: not for an io thread.
namespace fleet::rollout {

/// The object `rollout`.
[[nodiscard]] Result<std::string> rollout_json(db::Connection& reader, Rollout const& rollout);
/// Every verdict in words and numbers.
[[nodiscard]] Result<std::string> explain_json(db::Connection& reader, Rollout const& rollout);
[[nodiscard]] std::string plan_json(PlanRequest const& request, Plan const& plan);

struct ListPage {
  std::vector<std::string> items;
  std::string next;  ///< cursor, empty at the end
};
/// Of those that `limits` cover, newest first, from those before number `before`. Empty filters select all.
[[nodiscard]] Result<ListPage> list_rollouts(db::Connection& reader, registry::Limits const& limits, std::string const& model, std::string const& state,
                                             std::int64_t before, int limit);
/// Objects `rollout device`, in the order the devices enrolled, from those after number `after`. `stage` 0: all; devices that are held back are
/// of the last stage.
[[nodiscard]] Result<ListPage> list_rollout_devices(db::Connection& reader, Rollout const& rollout, std::string const& state, int stage, std::int64_t after,
                                                    int limit);

}  // namespace fleet::rollout
