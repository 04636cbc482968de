#pragma once

#include "server/api/route.hpp"
#include "server/rollout/shell/planner.hpp"

/// By which routes files travel: server/content's, as devices and people ask for it.
namespace fleet::api {

/// For a device: of a release that a directive named to it.
Result<Reply> get_device_routes(Services& services, Call const& call);
/// For people: what is ready, waits, or was not worth it.
Result<Reply> list_release_routes(Services& services, Call const& call);
/// The member `delivery` of a plan: how many bytes reach the targeted devices, by hardware and by what runs there.
/// `{"bytes","as_it_is_bytes","largest_bytes","devices":[{"model","hardware","from","devices","kind","bytes"}]}`; bytes of one device, the sums of all
Result<std::string> delivery_json(db::Connection& reader, rollout::Plan const& plan);

}  // namespace fleet::api
