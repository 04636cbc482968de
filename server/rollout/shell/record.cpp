#include "server/rollout/shell/record.hpp"

#include "server/events/audit.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/settle.hpp"
#include "server/rollout/engine/verdict_json.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::rollout {
namespace {

std::optional<SysTime> maybe_time(db::Statement const& row, int column) {
  auto const ms = row.maybe_int64(column);
  if (!ms) return std::nullopt;
  return from_unix_ms(*ms);
}

std::optional<std::int64_t> maybe_ms(std::optional<SysTime> at) {
  if (!at) return std::nullopt;
  return to_unix_ms(*at);
}

/// What the audit log and the event stream call each transition; in the order of `Event`.
constexpr auto kActions = std::to_array<std::string_view>({"rollout.started", "rollout.awaiting_approval", "rollout.approved", "rollout.paused",
                                                           "rollout.resumed", "rollout.promoted", "rollout.completed", "rollout.rolling_back",
                                                           "rollout.rolled_back", "rollout.aborted", "rollout.retried"});
static_assert(kActions.size() == kEventNames.size());

std::string short_json(Rollout const& rollout, std::string_view reason) {
  boost::json::object out{{"state", to_string(rollout.state)},
                          {"stage", rollout.stage},
                          {"of", rollout.policy.stage_count()},
                          {"model", rollout.model},
                          {"version", rollout.version}};
  if (!reason.empty()) out["reason"] = reason;
  return boost::json::serialize(out);
}

Result<Rollout> load_one(db::Statement& row, std::string_view what) {
  FLEET_TRY(bool const found, row.step());
  if (!found)
    return Error{Kind::not_found, "unknown_rollout", fmt::format("there is no rollout {}", what.substr(0, 128)), "fleetctl rollout list shows what there is"};
  return read_rollout(row);
}

Result<std::int64_t> next_moment(db::Connection& connection) {
  auto row = connection.prepare(queries::kNextMoment);
  FLEET_CHECK(row.step());
  return row.int64(0);
}

}  // namespace

Result<Rollout> read_rollout(db::Statement const& row) {
  Rollout out;
  out.n = row.int64(0);
  out.id = row.text(1);
  out.model = row.text(2);
  out.version = row.text(3);
  out.release_n = row.int64(4);
  out.selector = row.text(5);
  out.policy_json = row.text(6);
  FLEET_TRY(out.policy, decode_policy(out.policy_json));
  out.salt = row.text(7);
  auto const state = parse_state(row.text_view(8));
  if (!state) return Error{Kind::corrupt, "bad_row", fmt::format("rollout {}: '{}' is no state", out.id, row.text(8))};
  out.state = *state;
  out.stage = static_cast<int>(row.int64(9));
  out.baking = row.text_view(10) == "baking";
  out.stage_since = maybe_time(row, 11);
  out.bake_since = maybe_time(row, 12);
  out.deadline = maybe_time(row, 13);
  out.full = row.int64(14) != 0;
  out.attempt = row.int64(15);
  out.after_n = row.maybe_int64(16);
  out.supersedes_n = row.maybe_int64(17);
  out.started_at = maybe_time(row, 18);
  out.ended_at = maybe_time(row, 19);
  out.verdict = row.text(20);
  out.latches = decode_latches(row.text_view(21));
  out.reason = row.text(22);
  out.created_by = row.text(23);
  out.created_at = from_unix_ms(row.int64(24));
  out.revision = row.int64(25);
  out.release_state = row.text(26);
  out.digest = row.digest(27);
  out.document_bytes = row.int64(28);
  out.moment = row.maybe_int64(29);
  FLEET_TRY(out.progress, decode_progress(row.text_view(31)));
  out.follows = row.maybe_text(32);
  if (auto const against = row.maybe_int64(33)) out.against = Against{*against, row.text(34), row.digest(36), row.int64(37), row.text(35)};
  out.restored = static_cast<Restored>(std::clamp<std::int64_t>(row.int64(30), 0, 2));
  return out;
}

Result<Rollout> load_rollout(db::Connection& reader, std::string_view id) {
  auto row = reader.prepare(queries::kGetRollout);
  row.bind_all(id);
  return load_one(row, id);
}

Result<Rollout> load_rollout(db::Connection& reader, std::int64_t n) {
  auto row = reader.prepare(queries::kGetRolloutN);
  row.bind_all(n);
  return load_one(row, fmt::format("number {}", n));
}

Result<void> save_rollout(store::Tx& tx, Rollout& r) {
  auto row = tx.prepare(queries::kUpdateRollout);
  row.bind_all(to_string(r.state), r.stage, r.baking ? "baking" : "dispatching", maybe_ms(r.stage_since), maybe_ms(r.bake_since), maybe_ms(r.deadline), r.full,
               r.attempt, maybe_ms(r.started_at), maybe_ms(r.ended_at), r.moment, r.verdict, encode_latches(r.latches), r.reason, static_cast<std::int64_t>(r.restored),
               encode(r.progress), r.n);
  ++r.revision;
  return row.run();
}

Result<Ladder> load_ladder(db::Connection& reader, Rollout const& rollout) {
  auto row = reader.prepare(queries::kLadder);
  row.bind_all(rollout.n);
  FLEET_TRY(bool const found, row.step());
  if (!found) {
    Ladder whole;
    whole.counts = {0, 1};
    whole.stage_size = whole.stage_cap = std::vector<int>(rollout.policy.stages.size(), 1);
    return whole;
  }
  return decode_ladder(row.text_view(0));
}

Result<void> put_ladder(store::Tx& tx, std::int64_t rollout_n, Ladder const& ladder, std::int64_t fleet) {
  return tx.prepare(queries::kPutLadder).bind_all(rollout_n, encode(ladder), fleet).run();
}

Result<Millis> load_service_time(db::Connection& reader) {
  auto row = reader.prepare(queries::kServiceTime);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Millis{0};
  std::int64_t out = 0;
  auto const text = row.text(0);
  std::from_chars(text.data(), text.data() + text.size(), out);
  return Millis(out);
}

Result<void> save_service_time(store::Tx& tx, Millis service) { return tx.prepare(queries::kSetServiceTime).bind_all(std::to_string(service.count())).run(); }

Result<std::int64_t> count_approvals(db::Connection& reader, std::int64_t rollout_n, int stage) {
  auto row = reader.prepare(queries::kApprovals);
  row.bind_all(rollout_n, stage);
  FLEET_TRY(bool const found, row.step());
  return found ? row.int64(0) : 0;
}

Result<void> transition(store::Tx& tx, Rollout& rollout, Event event, events::Deed const& deed) {
  auto const to = next_state(rollout.state, event);
  if (!to) return wrong_state(rollout, to_string(event));
  auto const before = short_json(rollout, "");
  rollout.state = *to;
  rollout.reason = deed.reason;
  bool const starts = rollout.state == State::running && !rollout.started_at;
  bool const ends = event == Event::complete || event == Event::abort || event == Event::roll_back;
  if (starts) rollout.started_at = deed.at;
  if (ends) rollout.ended_at = deed.at;
  if (starts || ends) {
    FLEET_TRY(rollout.moment, next_moment(tx.connection()));
  }
  // What a person says after a restore is said of now.
  bool const said = event == Event::resume || event == Event::approved || event == Event::retry || event == Event::roll_back;
  if (said && rollout.restored == Restored::held) rollout.restored = Restored::resumed;
  FLEET_CHECK(save_rollout(tx, rollout));
  bool const test_ends = event == Event::complete && rollout.against;
  if (event == Event::abort || event == Event::roll_back || test_ends) FLEET_CHECK(settle_rows(tx, rollout, deed.at, 0));
  tx.raise_policy_epoch();
  return events::record(tx, deed, std::string(kActions[static_cast<std::size_t>(event)]), "rollout/" + rollout.id, before,
                            short_json(rollout, deed.reason));
}

Error wrong_state(Rollout const& rollout, std::string_view verb) {
  return {Kind::conflict, "wrong_state", fmt::format("rollout {} is {}: {} is not possible now", rollout.id, to_string(rollout.state), verb),
          fmt::format("fleetctl rollout explain {} tells what it waits for", rollout.id)};
}

Result<std::vector<std::pair<std::string, std::int64_t>>> count_by_state(db::Connection& reader) {
  auto row = reader.prepare(queries::kByState);
  std::vector<std::pair<std::string, std::int64_t>> out;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return out;
    out.emplace_back(row.text(0), row.int64(1));
  }
}

}  // namespace fleet::rollout
