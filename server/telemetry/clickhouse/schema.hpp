#pragma once

#include "server/telemetry/clickhouse/server.hpp"

namespace fleet::clickhouse {

/// Makes our tables, or brings them to the newest form. @errors unavailable, conflict (code `telemetry_newer`: a newer program made them)
[[nodiscard]] Result<void> migrate(Server& server);
/// Drops the months that are older than the retention as a whole.
[[nodiscard]] Result<void> forget_old(Server& server, SysTime now);

}  // namespace fleet::clickhouse
