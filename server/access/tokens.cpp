#include "server/access/tokens.hpp"

#include "core/crypto/hash.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/access/queries.hpp"
#include "server/registry/join_tokens.hpp"

#include <fmt/format.h>

namespace fleet::access {
namespace {

namespace json = boost::json;

constexpr std::string_view kBearer = "bearer ";
constexpr std::int64_t kExchangedMax = 1'000;

/// The token after the scheme, whose case does not matter (RFC 9110, 11.1); nothing for another scheme.
std::optional<std::string_view> bearer_token(std::string_view authorization) {
  if (authorization.size() < kBearer.size()) return std::nullopt;
  for (std::size_t i = 0; i < kBearer.size(); ++i) {
    auto const c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kBearer[i]) return std::nullopt;
  }
  return authorization.substr(kBearer.size());
}

Error refused(std::string code, std::string detail, std::string hint) {
  return Error{Kind::unauthenticated, std::move(code), std::move(detail), std::move(hint)};
}


/// One row of kTokens or kTokenById.
json::object token_object(db::Statement const& row) {
  return {{"id", row.text(0)},
          {"name", row.text(1)},
          {"role", row.text(2)},
          {"model", wire::text_or_null(row.maybe_text(3))},
          {"selector", wire::text_or_null(row.maybe_text(4))},
          {"identity", row.maybe_text(9).value_or("token:" + row.text(1))},
          {"created_by", row.text(5)},
          {"created_at", wire::time_or_null(row.int64(6))},
          {"expires_at", wire::time_or_null(row.maybe_int64(7))},
          {"revoked_at", wire::time_or_null(row.maybe_int64(8))}};
}

Result<void> check_name_free(store::Tx& tx, std::string const& name, SysTime now) {
  auto row = tx.prepare(queries::kLiveTokenNamed);
  row.bind_all(name, to_unix_ms(now));
  FLEET_TRY(bool const taken, row.step());
  if (!taken) return {};
  return Error{Kind::conflict, "token_exists", fmt::format("token {} has the name '{}' already", row.text_view(0), name),
               "revoke that one first, or choose another name"};
}

/// Jobs that ask again and again make no rows without an end.
Result<void> check_exchanged(store::Tx& tx, std::string const& bound_role, SysTime now) {
  if (bound_role.empty()) return {};
  auto row = tx.prepare(queries::kLiveExchanged);
  row.bind_all(bound_role, to_unix_ms(now));
  FLEET_CHECK(row.step());
  if (row.int64(0) < kExchangedMax) return {};
  return Error{Kind::throttled, "too_many_tokens", fmt::format("role '{}' has {} live tokens, its limit", bound_role, kExchangedMax),
               "use one token for a job; they expire by themselves"};
}

}  // namespace

Result<Actor> identify_token(db::Connection& reader, std::string_view authorization, SysTime now) {
  auto const token = bearer_token(authorization);
  if (!token) {
    return refused("no_token", authorization.empty() ? "no Authorization header" : "Authorization is not of the form Bearer <token>",
                   "send Authorization: Bearer <token>; an admin makes one with `fleetctl token create`");
  }
  auto row = reader.prepare(queries::kTokenByHash);
  row.bind(1, crypto::sha256(*token));
  FLEET_TRY(bool const found, row.step());
  if (!found) return refused("unknown_token", "the token is not one of this server", "check that it is whole and meant for this server");
  Actor actor;
  actor.name = row.maybe_text(6).value_or("token:" + row.text(0));
  actor.token_id = row.text(7);
  actor.role = row.text(1);
  FLEET_TRY(actor.limits, registry::Limits::read(reader, row.text(2), row.text(3)));
  if (!row.is_null(5)) {
    return refused("token_revoked", fmt::format("{} was revoked at {}", actor.name, to_rfc3339(from_unix_ms(row.int64(5)))), "ask an admin for another");
  }
  if (!row.is_null(4) && from_unix_ms(row.int64(4)) <= now) {
    return refused("token_expired", fmt::format("{} expired at {}", actor.name, to_rfc3339(from_unix_ms(row.int64(4)))), "ask an admin for another");
  }
  return actor;
}

Result<json::object> load_token(db::Connection& reader, std::string_view id) {
  auto row = reader.prepare(queries::kTokenById);
  row.bind(1, id);
  FLEET_TRY(bool const found, row.step());
  if (!found) {
    return Error{Kind::not_found, "unknown_token", fmt::format("there is no token with the id '{}'", id), "`fleetctl token list` shows those there are"};
  }
  return token_object(row);
}

Result<std::vector<json::object>> list_tokens(db::Connection& reader, std::string_view after, int limit) {
  auto row = reader.prepare(queries::kTokens);
  row.bind_all(after, limit);
  std::vector<json::object> out;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return out;
    out.push_back(token_object(row));
  }
}

Result<GivenToken> add_token(store::Tx& tx, Random& random, NewToken const& wanted, std::string const& created_by, SysTime now) {
  FLEET_CHECK(check_name_free(tx, wanted.name, now));
  FLEET_CHECK(check_exchanged(tx, wanted.bound_role, now));
  GivenToken out;
  out.secret = registry::make_secret("flt_", random);
  auto add = tx.prepare(queries::kAddToken);
  add.bind_all(wanted.id, wanted.name, wanted.role, db::text_or_null(wanted.model), db::text_or_null(wanted.selector), crypto::sha256(out.secret), created_by, to_unix_ms(now),
               to_unix_ms(now + wanted.expires_in), db::text_or_null(wanted.identity), db::text_or_null(wanted.bound_role));
  FLEET_CHECK(add.run());
  FLEET_TRY(out.token, load_token(tx.connection(), wanted.id));
  return out;
}

Result<void> revoke_token(store::Tx& tx, std::string_view id, SysTime now) {
  return tx.prepare(queries::kRevokeToken).bind_all(id, to_unix_ms(now)).run();
}

}  // namespace fleet::access
