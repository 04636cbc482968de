#include "server/cost/requests.hpp"

#include "server/cost/queries.hpp"

#include <algorithm>

namespace fleet::cost {
namespace {

constexpr double kDayS = 86'400;

/// An interval of 0 was never told.
double a_day(std::int64_t every_s, double devices) { return every_s > 0 ? devices * kDayS / static_cast<double>(every_s) : 0; }

}  // namespace

Requests requests_of(std::vector<Habit> const& habits, std::int64_t parked) {
  Requests out;
  double by_themselves = 0;
  for (auto const& one : habits) {
    auto const devices = static_cast<double>(one.devices);
    out.devices += one.devices;
    by_themselves += a_day(one.poll_every_s, devices);
    out.reports_a_day += a_day(one.report_every_s, devices);
  }
  if (out.devices == 0) return out;
  auto const waiting = static_cast<double>(std::min(parked, out.devices)), all = static_cast<double>(out.devices);
  out.polls_a_day = waiting * kDayS / kParkedPollS + by_themselves * (all - waiting) / all;
  return out;
}

Result<std::vector<Habit>> habits_online(db::Connection& reader, SysTime now) {
  std::vector<Habit> out;
  auto rows = reader.prepare(kHabits);
  rows.bind(1, to_unix_ms(now));
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back({rows.int64(0), rows.int64(1), rows.int64(2)});
  }
}

}  // namespace fleet::cost
