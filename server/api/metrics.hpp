#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// GET /metrics: Prometheus text format 0.0.4. For a viewer's token, or without one on loopback. Reads rows, kept counts and no devices, so it runs on a worker.
/// @errors unauthenticated (code no_token)
[[nodiscard]] Result<Reply> get_metrics(Services& services, Call const& call);

}  // namespace fleet::api
