#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// GET /devices/{id}/explain: for each model, or for `?model=`, what the device should run, what it runs, and why; with what the device itself
/// says it waits for. @errors not_found (unknown_device, unknown_model)
[[nodiscard]] Result<Reply> explain_device(Services& services, Call const& call, db::Connection& reader);

}  // namespace fleet::api
