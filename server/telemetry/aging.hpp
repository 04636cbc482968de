#pragma once

#include "server/store/store.hpp"

namespace fleet::telemetry {

/// Adds up at most `rows` intervals that have come of an age at which longer ones are kept (ages.hpp), the oldest first.
/// @returns true when a step later would find more
[[nodiscard]] Result<bool> add_up_old(store::Tx& tx, SysTime now, int rows);
/// Forgets at most `rows` intervals, and as many series and names, that are older than the retention, the oldest first.
/// @returns true when a step later would find more
[[nodiscard]] Result<bool> forget_old(store::Tx& tx, SysTime now, int rows);

}  // namespace fleet::telemetry
