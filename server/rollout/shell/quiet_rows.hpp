#pragma once

#include "server/rollout/shell/device_rows.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Rows whose silence is to be looked at.
namespace fleet::rollout {

/// So many rows are one job of the writer: a few milliseconds, and all that a report ever waits for.
inline constexpr std::size_t kQuietAPiece = 200;
/// A device's own gap counts to here: who claims to speak once a week does not hold a window, or a place, for three.
inline constexpr Millis kHorizon = std::chrono::hours{24};

struct QuietRow {
  std::int64_t device_n;
  std::string state;
  int window;
  Millis told, started;  ///< service time; started: 0, it has not
};
/// The first piece of those that are due by `now`, the longest due first; of a live rollout then those that nobody was to look at while it had ended.
[[nodiscard]] Result<std::vector<QuietRow>> find_quiet(db::Connection& reader, Rollout const& rollout, Millis now);
/// Silent when nothing was heard for the device's own time, or nothing came of it in all the time that it may take; who has not started is out of reach
/// and waits, and after the policy's `waiting_max` is left out (of a rollout that has ended it waits on, and is not looked at again); all others are looked at later.
/// @param limit  the longest that an attempt may take
[[nodiscard]] Result<void> mark_quiet_rows(store::Tx& tx, Rollout const& rollout, std::span<QuietRow const> rows, Millis limit, Now const& now);

}  // namespace fleet::rollout
