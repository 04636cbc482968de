#include "server/api/bound_roles.hpp"
#include "server/api/events.hpp"
#include "server/api/metrics.hpp"
#include "server/api/openapi.hpp"
#include "server/api/queries.hpp"
#include "server/api/route.hpp"
#include "server/api/tokens.hpp"

#include "core/crypto/hash.hpp"

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
  auto ping = reader.prepare(queries::kPing);
  ping.bind(1, "ready");
  FLEET_CHECK(ping.step());
  return json_reply(std::string(kOk));
}

Result<Reply> get_openapi(Services&, Call const&) { return json_reply(openapi_json()); }

json::value text_or_null(std::string const& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

Result<Reply> get_auth_status(Services&, Call const& call, db::Connection& reader) {
  auto row = reader.prepare(queries::kTokenByHash);
  auto const authorization = call.request.header("Authorization");
  row.bind(1, crypto::sha256(authorization.substr(authorization.find(' ') + 1)));
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::unauthenticated, "unknown_token", "the token went away meanwhile"};
  auto const expires_at = row.maybe_int64(4);
  return json_reply(json::serialize(json::object{{"name", row.text(0)},
                                                 {"identity", call.actor.name},
                                                 {"role", call.actor.role},
                                                 {"model", text_or_null(call.actor.model)},
                                                 {"selector", text_or_null(call.actor.selector)},
                                                 {"expires_at", expires_at ? json::value(to_rfc3339(from_unix_ms(*expires_at))) : json::value(nullptr)}}));
}

}  // namespace

std::vector<Route> const& system_routes() {
  using enum net::Method;
  using P = Permission;
  constexpr std::uint64_t kSmall = 64 * 1024;
  static std::vector<Route> const routes{
      {get, "/healthz", P::everyone, &get_healthz},
      {get, "/readyz", P::everyone, &get_readyz},
      {get, "/metrics", P::everyone, &get_metrics},
      {get, "/openapi.json", P::everyone, &get_openapi},
      {get, "/api/v1/auth/status", P::read, &get_auth_status},
      {get, "/api/v1/tokens", P::administer, &list_tokens},
      {post, "/api/v1/tokens", P::administer, &create_token, kSmall},
      {del, "/api/v1/tokens/{id}", P::administer, &delete_token},
      {post, "/api/v1/tokens:exchange", P::everyone, &exchange_token, kExchangeBytesMax},
      {get, "/api/v1/roles", P::read, &list_roles},
      {post, "/api/v1/roles", P::administer, &create_role, kRoleBytesMax},
      {get, "/api/v1/roles/{id}", P::read, &get_role},
      {del, "/api/v1/roles/{id}", P::administer, &delete_role},
      {get, "/api/v1/events", P::read, &get_events},
  };
  return routes;
}

}  // namespace fleet::api
