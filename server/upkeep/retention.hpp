#pragma once

#include "server/services.hpp"
#include "server/telemetry/sink.hpp"

namespace fleet::upkeep {

/// Forgets a few rows of each kind that are past their time, the oldest first: answers kept for a repeat (24 h), events (30 d), histories of devices
/// (90 d), tokens that were exchanged and have expired (7 d), enrolments that nobody settled (30 d), join tokens past their time (30 d), telemetry
/// (telemetry/series.hpp). A step reads and drops at most so many rows, whatever lies in the database.
/// @returns true when a step later would find more
[[nodiscard]] Result<bool> forget_old(store::Tx& tx, SysTime now);
/// Brings what was measured before there was a sink to its outbox, while that is half empty at most; so many rows a step, too.
[[nodiscard]] Result<bool> move_telemetry(store::Tx& tx, telemetry::Sink const& sink, SysTime now);
/// Does so in the background, step after step with rests between them, and every ten minutes; it ends with the server.
void schedule_retention(Services& services);
/// The same for blobs that nothing names any more (blobs/garbage.hpp): all of them are looked at once an hour, a few hundred rows a step.
void schedule_collection(Services& services);

}  // namespace fleet::upkeep
