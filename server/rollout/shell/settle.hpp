#pragma once

#include "server/rollout/shell/record.hpp"

#include <cstdint>

namespace fleet::rollout {

/// The end of a rollout (abort, rollback; of a test its completion) in the rows of its devices: those that have not switched are dropped, those that run something else by now have
/// returned. What a device is told does not wait for it (decide.hpp); its row, and what is counted, follow in pieces, however large the fleet.
inline constexpr int kRowsAPiece = 1'000;

/// One piece, of the devices above `after`. What is left is remembered in the rollout's row. @return whether there is more
[[nodiscard]] Result<bool> settle_rows(store::Tx& tx, Rollout const& rollout, SysTime now, std::int64_t after);
/// The next piece of every rollout that has more. @return whether one still has
[[nodiscard]] Result<bool> settle_more(store::Store& store, SysTime now);

}  // namespace fleet::rollout
