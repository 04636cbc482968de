#include "server/api/route.hpp"
#include "server/registry/versions.hpp"
#include "server/telemetry/query.hpp"

namespace fleet::api {
namespace {

// Samples are summed over all devices of a hardware: a selector must be within the limits by its own words.
Scope const kQuery{Bound::filtered, Bound::named, {{Place::query, "model", Thing::model}, {Place::query, "selector", Thing::devices}}};

// On a worker: a month of a busy metric is a long read.
Result<Reply> get_query(Services& services, Call const& call) {
  telemetry::RawQuery const raw{.metric = call.query_value("metric"),
                                .model = call.query_value("model"),
                                .version = call.query_value("version"),
                                .since = call.query_value("since"),
                                .step = call.query_value("step"),
                                .stat = call.query_value("stat"),
                                .by = call.query_value("by"),
                                .selector = call.query_value("selector")};
  auto& reader = services.store.reader();
  FLEET_TRY(auto query, telemetry::parse_query(raw, call.actor.limits, call.now));
  FLEET_TRY(query.version, registry::version_named(reader, query.model, query.version));
  Reply reply;
  FLEET_TRY(reply.body, telemetry::run_query(reader, query));
  return reply;
}

}  // namespace

std::vector<Route> const& telemetry_routes() {
  static std::vector<Route> const kRoutes{
      {net::Method::get, "/api/v1/telemetry/query", Permission::read, kQuery, WorkHandler{get_query}, 0},
  };
  return kRoutes;
}

}  // namespace fleet::api
