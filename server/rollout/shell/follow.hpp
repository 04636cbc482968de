#pragma once

#include "server/rollout/shell/verbs.hpp"

/// Rollouts that start because an alias of their model moved (docs/adr/0027).
namespace fleet::rollout {

/// An alias that moves, and what stands for it.
struct Move {
  std::string model, alias;
  std::string from;  ///< a version; empty: the alias is new
  std::string to;
  std::string selector, policy;  ///< the policy as JSON
};
/// A move with its rollout, planned.
struct PlannedMove {
  Move move;
  CreateRequest request;
  Plan plan;
};
/// Scans the fleet: worker threads only. @param id  a fresh one. @errors as planning a rollout has them
[[nodiscard]] Result<PlannedMove> plan_move(db::Connection& reader, Fs& fs, Move const& move, std::string id);
/// Creates and starts it, by the checks of every rollout. What the alias started before and still goes on is superseded; what only waits for an approval is
/// aborted. @errors as `create` with start: conflict (`rollout_overlaps`, `release_not_approved`)
[[nodiscard]] Result<Rollout> start_move(store::Tx& tx, PlannedMove const& planned, events::Deed const& deed);

}  // namespace fleet::rollout
