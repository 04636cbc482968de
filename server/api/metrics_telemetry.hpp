#pragma once

#include "server/api/exposition.hpp"
#include "server/telemetry/sink.hpp"

namespace fleet::api {

/// What waits in the outbox, and how it goes with the sink. All of it is told where there is none, too: names stand whatever a server keeps samples in.
/// @param sink  may be null
[[nodiscard]] Result<void> add_telemetry(db::Connection& reader, telemetry::Sink const* sink, SysTime now, Exposition& out);

}  // namespace fleet::api
