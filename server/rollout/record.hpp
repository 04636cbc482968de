#pragma once

#include "server/rollout/judge.hpp"
#include "server/rollout/membership.hpp"
#include "server/rollout/policy.hpp"
#include "server/rollout/states.hpp"
#include "server/store/store.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace fleet::rollout {

/// A row of `rollouts`, with what it needs of its release.
struct Rollout {
  std::int64_t n = 0;
  std::string id, model, version;
  std::int64_t release_n = 0;
  std::string selector;
  Policy policy;
  std::string policy_json;
  std::string salt;
  State state = State::draft;
  int stage = 0;  ///< 0: not started
  bool baking = false;
  std::optional<SysTime> stage_since, bake_since, deadline;
  bool full = false;
  std::int64_t attempt = 1;
  std::optional<std::int64_t> after_n, supersedes_n;
  std::optional<SysTime> started_at;
  std::optional<SysTime> ended_at;     ///< completed, aborted, or began to roll back
  std::optional<std::int64_t> moment;  ///< raised when a rollout starts or ends: which came later, whatever the clock said
  std::string verdict;                 ///< JSON: what verdict_json.hpp writes
  Latches latches;
  std::string reason;
  std::string created_by;
  SysTime created_at{};
  std::int64_t revision = 1;
  std::string release_state;
  Digest digest;                    ///< of release.json
  std::int64_t document_bytes = 0;  ///< length of release.json
};

/// @errors not_found (`unknown_rollout`)
[[nodiscard]] Result<Rollout> load_rollout(db::Connection& reader, std::string_view id);
[[nodiscard]] Result<Rollout> load_rollout(db::Connection& reader, std::int64_t n);
/// Reads the row that a statement with the columns of queries.hpp stands on.
[[nodiscard]] Result<Rollout> read_rollout(db::Statement const& row);
/// Writes what can change; the revision rises.
[[nodiscard]] Result<void> save_rollout(store::Tx& tx, Rollout& rollout);
[[nodiscard]] Result<std::vector<StageStratum>> load_strata(db::Connection& reader, std::int64_t rollout_n);
[[nodiscard]] Result<std::int64_t> count_approvals(db::Connection& reader, std::int64_t rollout_n, int stage);

/// Who acts, and why.
struct Deed {
  std::string actor;
  std::string reason;
  std::string request_id;
  SysTime now{};
};

/// Moves to a stage: dispatching, with its deadline running from now.
void enter_stage(Rollout& rollout, int stage, SysTime now);
/// Takes an edge of the state machine and does what belongs to it: drops what has not switched, notes the times, saves, audits,
/// emits the event, raises the policy epoch. `rollout.stage` and the like are set by the caller before.
/// @errors conflict (`wrong_state`) when the table has no such edge
[[nodiscard]] Result<void> transition(store::Tx& tx, Rollout& rollout, Event event, Deed const& deed);
/// The error of a verb that a state does not allow.
[[nodiscard]] Error wrong_state(Rollout const& rollout, std::string_view verb);

}  // namespace fleet::rollout
