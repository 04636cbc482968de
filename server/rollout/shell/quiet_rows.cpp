#include "server/rollout/shell/quiet_rows.hpp"

#include "server/rollout/shell/queries.hpp"

#include <algorithm>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

constexpr Millis kNever = Millis::max();  ///< as long as the rollout has ended

/// Does it say by its polls what it waits for? A download that waits for its window does, too.
Result<bool> waits_with_reason(store::Tx& tx, Rollout const& rollout, QuietRow const& row) {
  auto told = tx.prepare(queries::kWaitsFor);
  told.bind_all(row.device_n, rollout.model);
  FLEET_TRY(bool const found, told.step());
  return found && !told.is_null(0);
}

Result<void> set_state(store::Tx& tx, Rollout const& rollout, QuietRow const& row, std::string_view state, SysTime now) {
  auto set = tx.prepare(queries::kSetQuiet);
  set.bind_all(state, ds::is_outcome(state) ? std::optional(state) : std::nullopt, to_unix_ms(now), rollout.n, row.device_n, row.state, row.told.count());
  return set.run();
}

Result<void> look_later(store::Tx& tx, Rollout const& rollout, QuietRow const& row, Millis at) {
  return tx.prepare(queries::kSetSilentAt).bind_all(at.count(), rollout.n, row.device_n, row.told.count()).run();
}

Result<void> mark_one(store::Tx& tx, Rollout const& rollout, QuietRow const& row, Millis limit, Now const& now) {
  FLEET_TRY(auto const own, silence_window(tx.connection(), now.clock, row.device_n, rollout.policy));
  auto const window = std::min(own, kHorizon);
  auto const service = now.service();
  FLEET_TRY(auto const heard, last_heard(tx.connection(), now.clock, row.device_n));
  if (row.window == 0) {  // it has not started: neither silent nor a failure, but not waited for without end
    auto const left_out = row.told + rollout.policy.device.waiting_max;
    bool const ended = rollout.state == State::completed || rollout.state == State::aborted;  // no stage waits for it: what it was told stands
    if (left_out <= service && !ended) {
      FLEET_CHECK(raise_device(tx, row.device_n));
      return set_state(tx, rollout, row, ds::kDropped, now.wall);
    }
    auto const quiet = look_quiet(heard, row.told, window, Millis{0}, service);
    if (quiet.silent && row.state != quiet_state(row.window)) FLEET_CHECK(set_state(tx, rollout, row, quiet_state(row.window), now.wall));
    if (ended && quiet.silent) return look_later(tx, rollout, row, kNever);  // its own word moves it
    return look_later(tx, rollout, row, std::min(ended ? kNever : left_out, quiet.silent ? service + window : quiet.look_again));
  }
  FLEET_TRY(bool const waits, waits_with_reason(tx, rollout, row));
  auto const left_out = row.started + rollout.policy.device.waiting_max;
  if (waits && left_out <= service) {  // it started, and was held up by its owner: no outcome, and no window waits for it without end
    FLEET_CHECK(raise_device(tx, row.device_n));
    return set_state(tx, rollout, row, ds::kDropped, now.wall);
  }
  auto quiet = look_quiet(heard, row.started, window, waits ? Millis{0} : limit, service);
  if (waits && !quiet.silent) quiet.look_again = std::min(quiet.look_again, left_out);
  if (quiet.silent) return set_state(tx, rollout, row, quiet_state(row.window), now.wall);
  return look_later(tx, rollout, row, quiet.look_again);
}

Result<std::vector<QuietRow>> read_quiet(db::Connection& reader, db::Query const& query, std::int64_t rollout_n, Millis at) {
  std::vector<QuietRow> out;
  auto rows = reader.prepare(query);
  rows.bind_all(rollout_n, at.count(), static_cast<std::int64_t>(kQuietAPiece));
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back({rows.int64(0), rows.text(1), static_cast<int>(rows.int64(2)), Millis(rows.int64(3)), Millis(rows.int64(4))});
  }
}

}  // namespace

Result<std::vector<QuietRow>> find_quiet(db::Connection& reader, Rollout const& rollout, Millis now) {
  FLEET_TRY(auto due, read_quiet(reader, queries::kQuiet, rollout.n, now));
  if (!due.empty() || !is_live(rollout.state)) return due;
  return read_quiet(reader, queries::kQuietNever, rollout.n, kNever);  // it had ended, and goes on
}

Result<void> mark_quiet_rows(store::Tx& tx, Rollout const& rollout, std::span<QuietRow const> rows, Millis limit, Now const& now) {
  for (auto const& row : rows) FLEET_CHECK(mark_one(tx, rollout, row, limit, now));
  return {};
}

}  // namespace fleet::rollout
