#include "server/rollout/shell/follow.hpp"

#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>

namespace fleet::rollout {
namespace {

/// "alias stable: 1.4.0 -> 1.5.0: passed the field test".
events::Deed because_of(Move const& move, events::Deed deed) {
  auto const from = move.from.empty() ? std::string() : move.from + " -> ";
  deed.reason = fmt::format("alias {}: {}{}{}{}", move.alias, from, move.to, deed.reason.empty() ? "" : ": ", deed.reason);
  return deed;
}

/// Live rollouts that the alias started: the id of one that told devices already; those that only wait are aborted.
Result<std::string> clear_way(store::Tx& tx, Move const& move, std::string const& by, events::Deed const& deed) {
  std::string going_on;
  std::vector<std::string> waiting;
  {
    auto rows = tx.prepare(queries::kLiveFollowers);
    rows.bind_all(move.model, move.alias);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      if (rows.int64(1) == 0) waiting.push_back(rows.text(0));
      else going_on = rows.text(0);
    }
  }
  auto why = deed;
  why.reason = fmt::format("superseded by {}", by);
  for (auto const& id : waiting) FLEET_CHECK(abort(tx, id, why));
  return going_on;
}

}  // namespace

Result<PlannedMove> plan_move(db::Connection& reader, Fs& fs, Move const& move, std::string id) {
  PlannedMove out{move, {}, {}};
  auto& want = out.request.plan;
  FLEET_TRY(want.policy, take_policy(fs, move.policy, "/policy"));
  want.model = move.model;
  want.version = move.to;
  want.selector = move.selector;
  FLEET_TRY(want.salt, next_salt(reader, move.model, move.to));
  out.request.id = std::move(id);
  out.request.start = true;
  out.request.follows = move.alias;
  FLEET_TRY(out.plan, plan(reader, want));
  return out;
}

Result<Rollout> start_move(store::Tx& tx, PlannedMove const& planned, events::Deed const& deed) {
  auto const why = because_of(planned.move, deed);
  auto request = planned.request;
  FLEET_TRY(request.supersede, clear_way(tx, planned.move, request.id, why));
  return create(tx, request, planned.plan, why);
}

}  // namespace fleet::rollout
