#include "server/api/role_routes.hpp"

#include "core/base/log.hpp"
#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"
#include "server/access/bound_roles.hpp"
#include "server/access/roles.hpp"
#include "server/access/tokens.hpp"
#include "server/events/audit.hpp"
#include "server/access/oidc/issuer_keys.hpp"
#include "server/registry/groups.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace {

namespace json = boost::json;

std::string built_in(access::Role const& role) {
  json::array permissions;
  for (auto const permission : access::kRoleColumns)
    if (access::role_allows(role.name, permission)) permissions.push_back(json::value(to_string(permission)));
  return json::serialize(json::object{{"name", role.name}, {"permissions", std::move(permissions)}});
}

struct Exchange {
  std::string role;
  wire::Jwt token;
};
Result<Exchange> decode_exchange(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body, kExchangeBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  auto const role = reader.required_text("role", 128);
  auto const token = reader.required_text("token", wire::kJwtBytesMax);
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_TRY(auto jwt, wire::decode_jwt(token));
  return Exchange{role, std::move(jwt)};
}

/// Whose token it is, proved: the signature first, then what it claims.
Result<wire::IdClaims> verify(Services& services, oidc::BoundRole const& role, wire::Jwt const& token, SysTime now) {
  FLEET_TRY(auto const key, services.issuers->find(role.issuer, role.issuer_ca, token, services.clock.mono()));
  if (auto const proved = key.verify(as_bytes(token.signed_part), token.signature); !proved)
    return Error{Kind::unauthenticated, "oidc_bad_signature", fmt::format("the identity token: {}", proved.error().detail), "it was not signed by the issuer"};
  FLEET_TRY(auto claims, wire::decode_id_claims(token.payload));
  FLEET_CHECK(oidc::judge(role, claims, now));
  return claims;
}

Result<Reply> give_token(Services& services, Call const& call, store::Tx& tx, access::BoundRoleRow const& row, wire::IdClaims const& claims) {
  FLEET_TRY(auto const still, access::load_bound_role(tx.connection(), row.role.name));
  if (still != row) return Error{Kind::conflict, "role_changed", fmt::format("role '{}' was made anew meanwhile", row.role.name), "try again"};
  auto const id = make_ulid("tok-", to_unix_ms(call.now), services.random);
  access::NewToken const wanted{id, fmt::format("{}-{}", row.role.name, id.substr(4)), row.role.role, row.role.model, row.role.selector, oidc::identity_of(row.role),
                        row.role.name, row.role.expires_in};
  FLEET_TRY(auto given, access::add_token(tx, services.random, wanted, wanted.identity, call.now));
  auto shown = given.token;
  auto const ref = claims.texts.find("ref");
  shown["claims"] = json::object{{"sub", claims.subject}, {"ref", ref == claims.texts.end() ? "" : ref->second}};
  events::Deed const deed{call.now, wanted.identity, {}, call.request_id};
  FLEET_CHECK(events::record(tx, deed, "token.exchanged", "token/" + wanted.name, {}, json::serialize(shown)));
  given.token["secret"] = given.secret;
  Reply reply;
  reply.status = 201;
  reply.body = json::serialize(given.token);
  return reply;
}

Result<Reply> exchange(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, decode_exchange(call.request.body));
  FLEET_TRY(auto const row, access::load_bound_role(services.store.reader(), wanted.role));
  FLEET_TRY(auto const claims, verify(services, row.role, wanted.token, call.now));
  return services.store.write_value<Reply>(store::Lane::verbs, [&](store::Tx& tx) { return give_token(services, call, tx, row, claims); });
}

}  // namespace

// Bound roles name the models and devices of others: they are for callers without limits.
Result<Reply> list_roles(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  std::vector<access::BoundRoleRow> found;
  if (!call.actor.limits.any()) {
    FLEET_TRY(found, access::list_bound_roles(reader, page.after, page.limit + 1));
  }
  std::vector<std::string> items;
  if (page.after.empty())
    for (auto const& role : access::roles()) items.push_back(built_in(role));
  auto const shown = std::min(found.size(), static_cast<std::size_t>(page.limit));
  for (std::size_t i = 0; i < shown; ++i) items.push_back(json::serialize(access::bound_role_object(found[i])));
  return list_reply(call, items, found.size() > shown ? found[shown - 1].role.name : std::string());
}

Result<Reply> get_role(Services&, Call const& call, db::Connection& reader) {
  if (call.actor.limits.any()) return access::unknown_role(call.path_value("id"));
  FLEET_TRY(auto const row, access::load_bound_role(reader, call.path_value("id")));
  Reply reply;
  reply.revision = 1;
  reply.body = json::serialize(access::bound_role_object(row));
  return reply;
}

Result<Reply> create_role(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto role, access::decode_bound_role(call.request.body));
  if (access::load_bound_role(tx.connection(), role.name))
    return Error{Kind::conflict, "role_exists", fmt::format("there is a bound role '{}'", role.name), "a bound role never changes: delete it first"};
  FLEET_TRY(role.selector, registry::kept_text(tx.connection(), role.selector));
  access::BoundRoleRow const row{std::move(role), call.actor.name, call.now};
  FLEET_CHECK(access::insert_bound_role(tx, row));
  Reply reply;
  reply.status = 201;
  reply.revision = 1;
  reply.body = json::serialize(access::bound_role_object(row));
  FLEET_CHECK(events::record(tx, call.deed(), "role.created", "role/" + row.role.name, {}, reply.body));
  return reply;
}

Result<Reply> delete_role(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const row, access::load_bound_role(tx.connection(), call.path_value("id")));
  FLEET_CHECK(access::delete_bound_role(tx, row.role.name, call.now));
  FLEET_CHECK(events::record(tx, call.deed(), "role.deleted", "role/" + row.role.name, json::serialize(access::bound_role_object(row))));
  Reply reply;
  reply.status = 204;
  return reply;
}

Result<Reply> exchange_token(Services& services, Call const& call) {
  auto reply = exchange(services, call);
  if (!reply) log::warn("oidc.refused", {{"request", call.request_id}, {"code", reply.error().code}, {"detail", reply.error().detail}});
  return reply;
}

}  // namespace fleet::api
