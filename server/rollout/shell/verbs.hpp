#pragma once

#include "server/rollout/shell/planner.hpp"
#include "server/rollout/shell/record.hpp"

#include <optional>
#include <string>
#include <string_view>

/// What people do to rollouts. Each verb runs in a write transaction, is audited, raises the policy epoch, and repeating one that already
/// holds changes nothing. Starting and promoting touch the rollout's row alone, whatever the fleet's size.
namespace fleet::rollout {

/// What `POST /rollouts` asks for.
struct CreateRequest {
  PlanRequest plan;  ///< with a fresh salt
  std::string id;    ///< a fresh one
  bool start = false;
  std::string after, supersede;  ///< ids, or empty
  std::string follows = {};      ///< the alias whose move it is, or empty
};

/// Inserts the rollout as planned, and starts it where asked.
/// @errors conflict (`rollout_overlaps`), not_found (`unknown_rollout`, `unknown_release`)
[[nodiscard]] Result<Rollout> create(store::Tx& tx, CreateRequest const& request, Plan const& plan, events::Deed const& deed);

/// @errors conflict (`wrong_state`, `rollout_overlaps`, `release_not_approved`)
[[nodiscard]] Result<Rollout> start(store::Tx& tx, std::string_view id, events::Deed const& deed);
/// Counts one approval an actor for the stage the policy asks it for, and moves on when none is missing.
[[nodiscard]] Result<Rollout> approve(store::Tx& tx, std::string_view id, events::Deed const& deed);
[[nodiscard]] Result<Rollout> pause(store::Tx& tx, std::string_view id, events::Deed const& deed);
/// Goes on; accepts the harm that is known by now, and renews the deadline. A rollout whose predecessor ended without completing begins.
[[nodiscard]] Result<Rollout> resume(store::Tx& tx, std::string_view id, events::Deed const& deed);
/// Which evidence a person does without: that of the stage in which the rollout was seen, or of all.
struct Promotion {
  int stage = 0;
  bool full = false;
};
/// Skips bake and evidence; harm gates stay armed. Where the stage has passed, or the rollout waits for its approval already, nothing changes; a
/// pause stays one. @errors conflict (`wrong_state`, `wrong_stage`, `waits_for_predecessor`)
[[nodiscard]] Result<Rollout> promote(store::Tx& tx, std::string_view id, Promotion const& what, events::Deed const& deed);
[[nodiscard]] Result<Rollout> abort(store::Tx& tx, std::string_view id, events::Deed const& deed);
[[nodiscard]] Result<Rollout> rollback(store::Tx& tx, std::string_view id, events::Deed const& deed);
/// Failed devices again, from the first stage: what its windows show begins anew. With `device` that one, at its next poll and within the limits; what it
/// came to at first stands. Those that are to try again already are not counted anew.
/// @errors not_found (`unknown_device`, `not_in_rollout`)
[[nodiscard]] Result<Rollout> retry(store::Tx& tx, std::string_view id, std::string const& device, events::Deed const& deed);
/// Lets a device take again what it failed or holds back: raises the attempt of its target, of one model or (empty) of all. Where it holds nothing
/// back, or was let go already, nothing changes.
/// @returns how many models it is told of by a rollout. @errors not_found (`unknown_device`)
[[nodiscard]] Result<int> unhold(store::Tx& tx, std::string const& device, std::string const& model, events::Deed const& deed);

}  // namespace fleet::rollout
