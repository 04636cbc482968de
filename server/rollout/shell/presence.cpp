#include "server/rollout/shell/presence.hpp"

#include "server/rollout/shell/queries.hpp"

namespace fleet::rollout {
namespace {

std::int64_t hour_of(SysTime time) { return std::chrono::floor<std::chrono::hours>(time.time_since_epoch()).count(); }

}  // namespace

Result<PastHour> look_around(db::Connection& reader, std::int64_t returned, SysTime now) {
  auto row = reader.prepare(queries::kWhoIsAway);
  row.bind_all(to_unix_ms(now));
  FLEET_CHECK(row.step());
  return PastHour{hour_of(now), row.int64(0), row.int64(1), returned};
}

Result<bool> has_looked(db::Connection& reader, SysTime now) {
  auto row = reader.prepare(queries::kHasLooked);
  row.bind_all(hour_of(now));
  return row.step();
}

Result<void> keep_hour(store::Tx& tx, PastHour const& hour) {
  FLEET_CHECK(tx.prepare(queries::kKeepHour).bind_all(hour.hour, hour.devices, hour.away, hour.returned).run());
  return tx.prepare(queries::kForgetHours).bind_all(hour.hour - kPastKept.count()).run();
}

Result<std::optional<PastHour>> last_hour(db::Connection& reader) {
  auto row = reader.prepare(queries::kLastHour);
  FLEET_TRY(bool const found, row.step());
  return found ? std::optional(PastHour{row.int64(0), row.int64(1), row.int64(2), row.int64(3)}) : std::nullopt;
}

Result<Past> load_past(db::Connection& reader, SysTime now) {
  Past out;
  auto rows = reader.prepare(queries::kPastHours);
  rows.bind_all(hour_of(now) - kPastKept.count());
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    out.hours.push_back({rows.int64(0), rows.int64(1), rows.int64(2), rows.int64(3)});
  }
  auto attempts = reader.prepare(queries::kPastAttempts);
  attempts.bind_all(to_unix_ms(now - kPastKept));
  FLEET_CHECK(attempts.step());
  out.attempts = attempts.int64(0);
  out.failed = attempts.int64(1);
  auto fleet = reader.prepare(queries::kFleetNow);
  FLEET_CHECK(fleet.step());
  out.devices = fleet.int64(0);
  out.poll_every_s = fleet.int64(1);
  return out;
}

}  // namespace fleet::rollout
