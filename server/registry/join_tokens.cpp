#include "server/registry/join_tokens.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/events/audit.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/registry/queries.hpp"
#include "server/registry/row.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::registry {
namespace {

namespace json = boost::json;

constexpr int kCountMax = 1'000;
constexpr std::size_t kModelsMax = 64;
constexpr auto kLifetimeMax = std::chrono::hours(24) * 366;
constexpr std::size_t kBodyMax = 64 * 1024;


}  // namespace

std::string make_secret(std::string_view prefix, Random& random) {
  std::array<std::uint8_t, 32> raw{};
  random.fill(raw);
  return std::string(prefix) + to_base64url(raw);
}

Result<JoinTokenSpec> decode_join_token_spec(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body.empty() ? "{}" : body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  JoinTokenSpec out;
  out.count = static_cast<int>(reader.integer("count", 1, kCountMax, 1));
  out.expires_in = reader.duration("expires_in").value_or(out.expires_in);
  out.device_id = reader.text("id", 128, {});
  out.hardware = reader.text("hardware", 128, {});
  for (auto& [key, label] : reader.text_map("labels", 64, 256)) out.labels.emplace(std::move(key), std::move(label));
  bool const cache = reader.boolean("cache", false);
  auto const models = reader.texts("models", kModelsMax, 64);
  if (cache) out.cache = json::serialize(json::array(models.begin(), models.end()));
  if (!cache && !models.empty()) reader.fault("models", "goes with cache: devices are told what they run");
  if (out.expires_in <= Millis{0} || out.expires_in > kLifetimeMax) reader.fault("expires_in", "expected more than 0 and at most 366d");
  if (!out.device_id.empty() && out.count != 1) reader.fault("count", "a token that binds an id is made one at a time");
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  if (!out.device_id.empty()) FLEET_CHECK(check_id("id", out.device_id));
  if (!out.hardware.empty()) FLEET_CHECK(check_id("hardware", out.hardware));
  FLEET_CHECK(check_labels(out.labels));
  for (auto const& model : models) FLEET_CHECK(check_model_name(model));
  return out;
}

Selector bound_by(JoinTokenSpec const& spec) {
  std::vector<Condition> out{{"state", Condition::Op::in, {"active"}}};
  if (!spec.device_id.empty()) out.push_back({"id", Condition::Op::in, {spec.device_id}});
  if (!spec.hardware.empty()) out.push_back({"hardware", Condition::Op::in, {spec.hardware}});
  for (auto const& [key, value] : spec.labels) out.push_back({key, Condition::Op::in, {value}});
  return Selector(std::move(out));
}

Result<std::vector<JoinTokenSecret>> add_join_tokens(store::Tx& tx, Random& random, JoinTokenSpec const& spec, Limits const& limits,
                                                     events::Deed const& deed) {
  std::vector<JoinTokenSecret> out;
  auto const expires_at = deed.at + spec.expires_in;
  for (int i = 0; i < spec.count; ++i) {
    JoinTokenSecret token{make_ulid("dt-", to_unix_ms(deed.at), random), make_secret("fle_", random), expires_at};
    auto add = tx.prepare(queries::kAddJoinToken);
    add.bind_all(token.id, crypto::sha256(token.secret), db::text_or_null(spec.device_id), db::text_or_null(spec.hardware), labels_json(spec.labels), deed.actor,
                 to_unix_ms(deed.at), to_unix_ms(expires_at), db::text_or_null(limits.selector), spec.cache);
    FLEET_CHECK(add.run());
    FLEET_CHECK(events::record(tx, deed, "device-token.created", "device-token/" + token.id, {}, join_token_json(token, spec, deed, false)));
    out.push_back(std::move(token));
  }
  return out;
}

std::string join_token_json(JoinTokenSecret const& token, JoinTokenSpec const& spec, events::Deed const& deed, bool with_secret) {
  json::object out{{"id", token.id},
                   {"device", wire::text_or_null(spec.device_id)},
                   {"hardware", wire::text_or_null(spec.hardware)},
                   {"labels", wire::text_object(spec.labels)},
                   {"cache", json::parse(cache_json(spec.cache))},
                   {"created_by", deed.actor},
                   {"created_at", to_rfc3339(deed.at)},
                   {"expires_at", to_rfc3339(token.expires_at)},
                   {"used_at", nullptr},
                   {"used_by", nullptr},
                   {"revoked_at", nullptr}};
  if (with_secret) out["secret"] = token.secret;
  return json::serialize(out);
}

Result<DevicePage> list_join_tokens(db::Connection& connection, Limits const& limits, std::string_view actor, std::string_view after, int limit) {
  auto row = connection.prepare(queries::kJoinTokens);
  row.bind_all(after, limits.any() ? actor : std::string_view(), limit + 1);
  DevicePage page;
  std::string last;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return page;
    if (page.items.size() == static_cast<std::size_t>(limit)) {
      page.next = last;
      return page;
    }
    last = row.text(0);
    FLEET_TRY(auto labels, wire::parse_json(row.text_view(3), kBodyMax));
    page.items.push_back(json::serialize(json::object{{"id", last},
                                                      {"device", wire::text_or_null(row.maybe_text(1))},
                                                      {"hardware", wire::text_or_null(row.maybe_text(2))},
                                                      {"labels", std::move(labels)},
                                                      {"cache", json::parse(cache_json(row.maybe_text(10)))},
                                                      {"created_by", row.text(4)},
                                                      {"created_at", wire::time_or_null(row.int64(5))},
                                                      {"expires_at", wire::time_or_null(row.int64(6))},
                                                      {"used_at", wire::time_or_null(row.maybe_int64(7))},
                                                      {"used_by", wire::text_or_null(row.maybe_text(8))},
                                                      {"revoked_at", wire::time_or_null(row.maybe_int64(9))}}));
  }
}

Result<std::optional<std::string>> maker_of_join_token(db::Connection& connection, std::string_view id) {
  auto row = connection.prepare(queries::kJoinTokenById);
  FLEET_TRY(bool const found, row.bind(1, id).step());
  return found ? std::optional(row.text(1)) : std::nullopt;
}

Result<void> revoke_join_token(store::Tx& tx, std::string_view id, events::Deed const& deed) {
  {
    auto row = tx.prepare(queries::kJoinTokenById);
    row.bind(1, id);
    FLEET_TRY(bool const found, row.step());
    if (!found) {
      return Error{Kind::not_found, "unknown_join_token", fmt::format("there is no device token '{}'", id),
                   "`fleetctl device token list` shows those there are"};
    }
    if (!row.is_null(0)) return {};
  }
  auto revoke = tx.prepare(queries::kRevokeJoinToken);
  revoke.bind_all(id, to_unix_ms(deed.at));
  FLEET_CHECK(revoke.run());
  return events::record(tx, deed, "device-token.revoked", fmt::format("device-token/{}", id));
}

}  // namespace fleet::registry
