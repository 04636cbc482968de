#pragma once

#include "core/base/time.hpp"
#include "server/store/db/db.hpp"

#include <cstdint>
#include <vector>

/// How often a fleet asks when nothing happens: an estimate from what devices say of their intervals.
namespace fleet::cost {

/// What devices do that do alike.
struct Habit {
  std::int64_t poll_every_s = 0, report_every_s = 0, devices = 0;
};
struct Requests {
  std::int64_t devices = 0;  ///< online now
  double polls_a_day = 0;
  double reports_a_day = 0;  ///< at most: who has nothing to say sends none
};
/// A poll that waits here is answered after 55 s where nothing happens, and asks again a second later (docs/protocol.md).
inline constexpr double kParkedPollS = 56;

/// @param parked  polls that wait at this moment: so many of the devices ask each kParkedPollS, the others at their intervals
[[nodiscard]] Requests requests_of(std::vector<Habit> const& habits, std::int64_t parked);
/// Of the active devices that were heard within three of their intervals. Reads a row a device: not on an io thread.
[[nodiscard]] Result<std::vector<Habit>> habits_online(db::Connection& reader, SysTime now);

}  // namespace fleet::cost
