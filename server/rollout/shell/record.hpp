#pragma once

#include "server/events/deed.hpp"
#include "server/rollout/engine/membership.hpp"
#include "server/rollout/engine/rollout.hpp"
#include "server/store/store.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace fleet::rollout {

/// @errors not_found (`unknown_rollout`)
[[nodiscard]] Result<Rollout> load_rollout(db::Connection& reader, std::string_view id);
[[nodiscard]] Result<Rollout> load_rollout(db::Connection& reader, std::int64_t n);
/// Reads the row that a statement with the columns of queries.hpp stands on.
[[nodiscard]] Result<Rollout> read_rollout(db::Statement const& row);
/// Writes what can change; the revision rises.
[[nodiscard]] Result<void> save_rollout(store::Tx& tx, Rollout& rollout);
/// The sizes that it can have, as it was planned; of a rollout of the time before ladders: all, in each stage. @errors corrupt
[[nodiscard]] Result<Ladder> load_ladder(db::Connection& reader, Rollout const& rollout);
[[nodiscard]] Result<void> put_ladder(store::Tx& tx, std::int64_t rollout_n, Ladder const& ladder, std::int64_t fleet);
[[nodiscard]] Result<std::int64_t> count_approvals(db::Connection& reader, std::int64_t rollout_n, int stage);

/// Service time as it was kept last: at most kServiceKept old while a rollout is live.
[[nodiscard]] Result<Millis> load_service_time(db::Connection& reader);
[[nodiscard]] Result<void> save_service_time(store::Tx& tx, Millis service);
inline constexpr Millis kServiceKept = seconds(5);

/// Takes an edge of the state machine and does what belongs to it: drops what has not switched, notes the times, saves, audits,
/// emits the event, raises the policy epoch. `rollout.stage` and the like are set by the caller before.
/// @errors conflict (`wrong_state`) when the table has no such edge
[[nodiscard]] Result<void> transition(store::Tx& tx, Rollout& rollout, Event event, events::Deed const& deed);
/// The error of a verb that a state does not allow.
[[nodiscard]] Error wrong_state(Rollout const& rollout, std::string_view verb);

/// How many rollouts are in each state.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::int64_t>>> count_by_state(db::Connection& reader);

}  // namespace fleet::rollout
