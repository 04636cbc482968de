#include "server/rollout/shell/replan.hpp"

#include "server/events/audit.hpp"
#include "server/registry/groups.hpp"
#include "server/rollout/engine/verdict_json.hpp"
#include "server/rollout/shell/planner.hpp"
#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>

namespace fleet::rollout {
namespace {

/// What the ladder of a rollout was planned over, and the preset that its policy came from.
struct PlannedOver {
  std::int64_t fleet = 0;
  std::string preset, salt;
};
Result<std::optional<PlannedOver>> planned_over(db::Connection& reader, std::int64_t rollout_n) {
  auto row = reader.prepare(queries::kPlannedOver);
  row.bind_all(rollout_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return std::optional<PlannedOver>();  // of a time before ladders
  return std::optional(PlannedOver{row.int64(0), row.text(1), row.text(2)});
}

}  // namespace

Result<bool> plan_is_old(db::Connection& reader, Rollout const& rollout, SysTime now) {
  FLEET_TRY(auto const ladder, load_ladder(reader, rollout));
  bool const approved = rollout.policy.approvals_required > 0 && rollout.policy.approvals_before_stage == 1;
  if (approved && !ladder.is_of_nobody()) return false;  // of nobody there were no sizes to approve
  FLEET_TRY(auto const over, planned_over(reader, rollout.n));
  if (!over) return false;
  FLEET_TRY(auto const changes, count_fleet_changes(reader));
  if (changes != over->fleet) return true;
  FLEET_TRY(auto const selector, registry::read_kept_selector(reader, rollout.selector));
  return selector.asks_running() && rollout.created_at != now;
}

Result<bool> replan(store::Store& store, Rollout const& rollout, SysTime now) {
  FLEET_TRY(auto const over, planned_over(store.reader(), rollout.n));
  PlanRequest request{rollout.model, rollout.version, rollout.selector, rollout.salt, rollout.policy};
  if (over && !over->preset.empty()) {
    request.policy = {};
    request.policy.preset = over->preset;
  }
  FLEET_TRY(auto const planned, plan(store.reader(), request));
  return store.write_value<bool>(store::Lane::verbs, [&](store::Tx& tx) -> Result<bool> {
    FLEET_TRY(auto current, load_rollout(tx.connection(), rollout.n));
    if (current.revision != rollout.revision) return false;
    FLEET_TRY(auto const before, load_ladder(tx.connection(), current));
    FLEET_CHECK(put_ladder(tx, current.n, planned.ladder, planned.fleet));
    auto const policy = encode(planned.policy);
    bool const same = policy == current.policy_json && planned.ladder == before;
    if (same) return true;
    bool const waived = current.progress.waived;
    current.progress = {};
    current.progress.waived = waived;
    FLEET_CHECK(tx.prepare(queries::kSetPolicy).bind_all(policy, current.n).run());
    auto const text = fmt::format("planned anew over the fleet of now: {} devices, {} before{}", planned.targeted, before.reach() + before.held,
                                  policy == current.policy_json ? "" : fmt::format("; what preset {} is has changed with it", request.policy.preset));
    current.verdict = with_history(current.verdict, "plan", text, now);
    FLEET_CHECK(save_rollout(tx, current));
    tx.raise_policy_epoch();
    FLEET_CHECK(events::record(tx, {now, "system:judge", text, ""}, "rollout.planned", "rollout/" + current.id, "", fmt::format(R"({{"targeted":{}}})", planned.targeted)));
    return true;
  });
}

}  // namespace fleet::rollout
