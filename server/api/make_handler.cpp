#include "server/api/api_handler.hpp"

namespace fleet::api {

std::shared_ptr<net::Handler> make_handler(Services& services, Listener listener) {
  return std::make_shared<ApiHandler>(
      services, listener,
      std::vector<std::vector<Route> const*>{&system_routes(), &audit_routes(), &trust_routes(), &registry_routes(), &group_routes(), &catalog_routes(), &rollout_routes(),
                                             &simulation_routes(), &delivery_routes(), &bundle_routes(), &support_routes(), &telemetry_routes(), &cost_routes(), &node_routes()});
}

}  // namespace fleet::api
