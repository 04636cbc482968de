#include "server/api/role_routes.hpp"
#include "server/api/events.hpp"
#include "server/api/metrics.hpp"
#include "server/api/openapi.hpp"
#include "server/api/route.hpp"
#include "server/api/token_routes.hpp"

#include "server/access/bound_roles.hpp"
#include "core/base/text.hpp"
#include "server/access/tokens.hpp"
#include "server/telemetry/sink.hpp"
#include "server/blobs/store/blob_store.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace {

namespace json = boost::json;

constexpr std::string_view kOk = R"({"status":"ok"})";

Reply json_reply(std::string body) {
  Reply reply;
  reply.body = std::move(body);
  return reply;
}

Result<Reply> get_healthz(Services&, Call const&, db::Connection&) { return json_reply(std::string(kOk)); }

Result<Reply> get_readyz(Services& services, Call const&, db::Connection& reader) {
  if (services.draining) return Error{Kind::unavailable, "draining", "the server is ending", "try again in a moment"};
  FLEET_CHECK(store::ping(reader));
  if (!services.store.turns().is_current(services.clock.mono()))
    return Error{Kind::unavailable, "node_behind", "what the other servers wrote is not heard", "the database is slow or away: look at node.behind in the log"};
  // What follows is no cause to send devices elsewhere: every server has the same stores, and what needs none of them (polls, results, verbs) is served on.
  json::object out{{"status", "ok"}};
  if (services.telemetry != nullptr) {
    FLEET_TRY(auto const waiting, telemetry::load_waiting(reader));
    out["telemetry"] = telemetry::state_of(services.telemetry->figures(), waiting, services.telemetry->waiting_max(), services.clock.wall());
  }
  if (auto const trouble = services.blobs != nullptr ? services.blobs->trouble() : std::nullopt) {
    out["status"] = "degraded";
    out["blobs"] = {{"code", trouble->error.code}, {"since", to_rfc3339(trouble->since)}, {"detail", valid_text(trouble->error.detail)}, {"hint", trouble->error.hint}};
  }
  return json_reply(json::serialize(out));
}

Result<Reply> get_openapi(Services&, Call const&) { return json_reply(openapi_json()); }

Result<Reply> get_auth_status(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const token, access::load_token(reader, call.actor.token_id));
  return json_reply(json::serialize(json::object{{"name", token.at("name")},
                                                 {"identity", token.at("identity")},
                                                 {"role", token.at("role")},
                                                 {"model", token.at("model")},
                                                 {"selector", token.at("selector")},
                                                 {"expires_at", token.at("expires_at")}}));
}

constexpr Scope kSeen{Bound::filtered, Bound::filtered};

}  // namespace

std::vector<Route> const& system_routes() {
  using enum net::Method;
  using P = Permission;
  constexpr std::uint64_t kSmall = 64 * 1024;
  static std::vector<Route> const routes{
      {get, "/healthz", P::everyone, kOpen, &get_healthz},
      {get, "/readyz", P::everyone, kOpen, &get_readyz},
      {get, "/metrics", P::everyone, kWhole, &get_metrics, 0, Listener::api, Pool::metrics},
      {get, "/openapi.json", P::everyone, kOpen, &get_openapi},
      {get, "/api/v1/auth/status", P::read, kOpen, &get_auth_status},
      {get, "/api/v1/tokens", P::administer, kWhole, &list_tokens},
      {post, "/api/v1/tokens", P::administer, kWhole, &create_token, kSmall},
      {del, "/api/v1/tokens/{id}", P::administer, kWhole, &delete_token},
      {post, "/api/v1/tokens:exchange", P::everyone, kOpen, &exchange_token, kExchangeBytesMax},
      {get, "/api/v1/roles", P::read, kSeen, &list_roles},
      {post, "/api/v1/roles", P::administer, kWhole, &create_role, access::kRoleBytesMax},
      {get, "/api/v1/roles/{id}", P::read, kSeen, &get_role},
      {del, "/api/v1/roles/{id}", P::administer, kWhole, &delete_role},
      {get, "/api/v1/events", P::read, kSeen, &get_events},
  };
  return routes;
}

}  // namespace fleet::api
