#include "server/api/token_routes.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"
#include "server/access/roles.hpp"
#include "server/access/tokens.hpp"
#include "server/events/audit.hpp"
#include "server/registry/groups.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyMax = 64 * 1024;
constexpr auto kLifetimeDefault = std::chrono::hours(24) * 90;
constexpr auto kLifetimeMax = std::chrono::hours(24) * 366 * 10;

struct TokenSpec {
  std::string name, role, model, selector, user;
  Millis expires_in = kLifetimeDefault;
};

Result<TokenSpec> decode(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  TokenSpec out;
  out.name = reader.required_text("name", 128);
  out.role = reader.required_text("role", 32);
  out.model = reader.text("model", 64, {});
  out.selector = reader.text("selector", 4'096, {});
  out.user = reader.text("user", 128, {});
  out.expires_in = reader.duration("expires_in").value_or(out.expires_in);
  if (out.expires_in <= Millis{0} || out.expires_in > kLifetimeMax) reader.fault("expires_in", "expected more than 0 and at most 3660d");
  if (!out.role.empty() && !access::is_role(out.role)) {
    reader.fault("role", fmt::format("expected viewer, operator, publisher, approver or admin, got '{}'", out.role));
  }
  if (out.role == "admin" && !(out.model.empty() && out.selector.empty())) {
    reader.fault("role", "an admin's token has no limits: it could make itself another");
  }
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_CHECK(check_id("name", out.name));
  if (!out.user.empty()) FLEET_CHECK(check_id("user", out.user));
  if (!out.model.empty()) FLEET_CHECK(check_model_name(out.model));
  return out;
}

}  // namespace

Result<Reply> list_tokens(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const found, access::list_tokens(reader, page.after, page.limit + 1));
  auto const shown = std::min(found.size(), static_cast<std::size_t>(page.limit));
  std::vector<std::string> items;
  for (std::size_t i = 0; i < shown; ++i) items.push_back(json::serialize(found[i]));
  return list_reply(call, items, found.size() > shown ? std::string(found[shown - 1].at("id").as_string()) : std::string());
}

Result<Reply> create_token(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto spec, decode(call.request.body));
  FLEET_TRY(spec.selector, registry::kept_text(tx.connection(), spec.selector));
  access::NewToken const wanted{make_ulid("tok-", to_unix_ms(call.now), services.random), spec.name, spec.role, spec.model, spec.selector,
                                spec.user.empty() ? std::string() : "user:" + spec.user, {}, spec.expires_in};
  FLEET_TRY(auto given, access::add_token(tx, services.random, wanted, call.actor.name, call.now));
  Reply reply;
  reply.status = 201;
  reply.replay_body = json::serialize(given.token);
  FLEET_CHECK(events::record(tx, call.deed(), "token.created", "token/" + spec.name, {}, *reply.replay_body));
  given.token["secret"] = given.secret;
  reply.body = json::serialize(given.token);
  return reply;
}

Result<Reply> delete_token(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const token, access::load_token(tx.connection(), call.path_value("id")));
  Reply reply;
  reply.status = 204;
  if (!token.at("revoked_at").is_null()) return reply;
  FLEET_CHECK(access::revoke_token(tx, call.path_value("id"), call.now));
  FLEET_CHECK(events::record(tx, call.deed(), "token.revoked", fmt::format("token/{}", std::string_view(token.at("name").as_string()))));
  return reply;
}

}  // namespace fleet::api
