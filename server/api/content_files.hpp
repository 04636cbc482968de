#pragma once

#include "server/api/route.hpp"

/// By which routes files travel: server/content's, as devices and people ask for it.
namespace fleet::api {

/// For a device: of a release that a directive named to it.
Result<Reply> get_device_routes(Services& services, Call const& call);
/// For people: what is ready, waits, or was not worth it.
Result<Reply> list_release_routes(Services& services, Call const& call);

}  // namespace fleet::api
