#include "server/rollout/shell/restored.hpp"

#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/record.hpp"
#include "server/rollout/engine/verdict_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr std::int64_t kShown = 100;

Result<std::vector<Rollout>> list_started(db::Connection& reader) {
  std::vector<Rollout> out;
  auto rows = reader.prepare(queries::kEverStarted);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    FLEET_TRY(auto rollout, read_rollout(rows));
    out.push_back(std::move(rollout));
  }
}

Result<json::array> held_json(db::Connection& reader) {
  json::array out;
  auto rows = reader.prepare(queries::kHeldRollouts);
  rows.bind_all(kShown);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(json::object{{"id", rows.text(0)}, {"model", rows.text(1)}, {"version", rows.text(2)}, {"state", rows.text(3)}});
  }
}

Result<json::array> unknown_releases(db::Connection& reader) {
  json::array out;
  auto rows = reader.prepare(queries::kUnknownRunning);
  rows.bind_all(kShown);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(json::object{
        {"model", rows.text(0)}, {"version", rows.text(1)}, {"digest", rows.digest(2).hex()}, {"devices", rows.int64(3)}, {"example", rows.text(4)}});
  }
}

Result<json::array> unknown_rollouts(db::Connection& reader) {
  json::array out;
  auto rows = reader.prepare(queries::kUnknownRollouts);
  rows.bind_all(kShown);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(json::object{{"id", rows.text(0)}, {"devices", rows.int64(1)}, {"example", rows.text(2)}});
  }
}

}  // namespace

Result<void> hold_restored(store::Tx& tx, SysTime now) {
  FLEET_TRY(auto rollouts, list_started(tx.connection()));
  events::Deed const deed{now, "system:restore", "restored"};
  for (auto& rollout : rollouts) {
    rollout.restored = Restored::held;
    if (is_live(rollout.state))
      rollout.verdict = noted(rollout.verdict, "restored", "restored from a backup: see what differs (fleetctl doctor), then resume", now);
    FLEET_CHECK(next_state(rollout.state, Event::pause) ? transition(tx, rollout, Event::pause, deed) : save_rollout(tx, rollout));
  }
  FLEET_CHECK(tx.prepare(queries::kSetRestoredAt).bind_all(to_unix_ms(now)).run());
  tx.raise_policy_epoch();
  return {};
}

Result<std::string> restored_json(db::Connection& reader) {
  auto at = reader.prepare(queries::kRestoredAt);
  FLEET_TRY(bool const ever, at.step());
  json::object out{{"restored_at", nullptr}, {"rollouts", json::array{}}, {"releases", json::array{}}, {"lost_rollouts", json::array{}}};
  if (!ever) return json::serialize(out);
  out["restored_at"] = to_rfc3339(from_unix_ms(at.int64(0)));
  FLEET_TRY(out["rollouts"], held_json(reader));
  FLEET_TRY(out["releases"], unknown_releases(reader));
  FLEET_TRY(out["lost_rollouts"], unknown_rollouts(reader));
  return json::serialize(out);
}

}  // namespace fleet::rollout
