#include "server/api/tokens.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"
#include "server/api/queries.hpp"
#include "server/api/roles.hpp"
#include "server/audit/audit.hpp"
#include "server/registry/join_tokens.hpp"
#include "server/registry/selector.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
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

std::optional<std::string> bound(std::string const& text) { return text.empty() ? std::nullopt : std::optional(text); }
json::value text_or_null(std::optional<std::string> const& text) { return text ? json::value(*text) : json::value(nullptr); }
json::value time_or_null(std::optional<std::int64_t> at) { return at ? json::value(to_rfc3339(from_unix_ms(*at))) : json::value(nullptr); }

/// One row of kTokens or kTokenById.
json::object token_object(db::Statement const& row) {
  return {{"id", row.text(0)},
          {"name", row.text(1)},
          {"role", row.text(2)},
          {"model", text_or_null(row.maybe_text(3))},
          {"selector", text_or_null(row.maybe_text(4))},
          {"identity", row.maybe_text(9).value_or("token:" + row.text(1))},
          {"created_by", row.text(5)},
          {"created_at", time_or_null(row.int64(6))},
          {"expires_at", time_or_null(row.maybe_int64(7))},
          {"revoked_at", time_or_null(row.maybe_int64(8))}};
}

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
  if (!out.role.empty() && !is_role(out.role)) {
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
  FLEET_CHECK(registry::Selector::parse(out.selector));
  return out;
}

Result<void> record(store::Tx& tx, Call const& call, std::string action, std::string const& name, std::string after) {
  audit::Entry entry;
  entry.time = call.now;
  entry.actor = call.actor.name;
  entry.action = std::move(action);
  entry.subject = "token/" + name;
  entry.after = std::move(after);
  entry.request_id = call.request_id;
  return audit::record(tx, entry);
}

Result<json::object> load(store::Tx& tx, std::string_view id) {
  auto row = tx.prepare(queries::kTokenById);
  row.bind(1, id);
  FLEET_TRY(bool const found, row.step());
  if (!found) {
    return Error{Kind::not_found, "unknown_token", fmt::format("there is no token with the id '{}'", id), "`fleetctl token list` shows those there are"};
  }
  return token_object(row);
}

Result<void> check_name_free(store::Tx& tx, std::string const& name, SysTime now) {
  auto row = tx.prepare(queries::kLiveTokenNamed);
  row.bind_all(name, to_unix_ms(now));
  FLEET_TRY(bool const taken, row.step());
  if (!taken) return {};
  return Error{Kind::conflict, "token_exists", fmt::format("token {} has the name '{}' already", row.text_view(0), name),
               "revoke that one first, or choose another name"};
}

}  // namespace

Result<GivenToken> add_token(store::Tx& tx, Random& random, NewToken const& wanted, std::string const& created_by, SysTime now) {
  GivenToken out;
  out.secret = registry::make_secret("flt_", random);
  auto add = tx.prepare(queries::kAddToken);
  add.bind_all(wanted.id, wanted.name, wanted.role, bound(wanted.model), bound(wanted.selector), crypto::sha256(out.secret), created_by, to_unix_ms(now),
               to_unix_ms(now + wanted.expires_in), bound(wanted.identity), bound(wanted.bound_role));
  FLEET_CHECK(add.run());
  FLEET_TRY(out.token, load(tx, wanted.id));
  return out;
}

Result<Reply> list_tokens(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  auto row = reader.prepare(queries::kTokens);
  row.bind_all(page.after, page.limit + 1);
  std::vector<std::string> items;
  std::string last;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return list_reply(call, items, "");
    if (items.size() == static_cast<std::size_t>(page.limit)) return list_reply(call, items, last);
    last = row.text(0);
    items.push_back(json::serialize(token_object(row)));
  }
}

Result<Reply> create_token(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const spec, decode(call.request.body));
  FLEET_CHECK(check_name_free(tx, spec.name, call.now));
  NewToken const wanted{make_ulid("tok-", to_unix_ms(call.now), services.random), spec.name, spec.role, spec.model, spec.selector,
                        spec.user.empty() ? std::string() : "user:" + spec.user, {}, spec.expires_in};
  FLEET_TRY(auto given, add_token(tx, services.random, wanted, call.actor.name, call.now));
  Reply reply;
  reply.status = 201;
  reply.replay_body = json::serialize(given.token);
  FLEET_CHECK(record(tx, call, "token.created", spec.name, *reply.replay_body));
  given.token["secret"] = given.secret;
  reply.body = json::serialize(given.token);
  return reply;
}

Result<Reply> delete_token(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const token, load(tx, call.path_value("id")));
  Reply reply;
  reply.status = 204;
  if (!token.at("revoked_at").is_null()) return reply;
  auto revoke = tx.prepare(queries::kRevokeToken);
  revoke.bind_all(call.path_value("id"), to_unix_ms(call.now));
  FLEET_CHECK(revoke.run());
  FLEET_CHECK(record(tx, call, "token.revoked", std::string(token.at("name").as_string()), {}));
  return reply;
}

}  // namespace fleet::api
