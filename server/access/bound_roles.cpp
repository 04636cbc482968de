#include "server/access/bound_roles.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/net/client.hpp"
#include "core/wire/json.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/access/queries.hpp"
#include "server/access/roles.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>

namespace fleet::access {
namespace {

namespace json = boost::json;

constexpr Millis kLifetimeDefault = std::chrono::minutes(15);
constexpr Millis kLifetimeMin = std::chrono::minutes(1), kLifetimeMax = std::chrono::hours(6);
constexpr auto kRepositoryClaims = std::to_array<std::string_view>({"repository", "project_path"});


BoundRoleRow read_row(db::Statement const& row) {
  BoundRoleRow out;
  auto& role = out.role;
  role.name = row.text(0);
  role.role = row.text(1);
  role.model = row.maybe_text(2).value_or("");
  role.selector = row.maybe_text(3).value_or("");
  role.issuer = row.text(4);
  role.issuer_ca = row.text(5);
  role.audience = row.text(6);
  role.repository_claim = row.text(7);
  role.repository = row.text(8);
  role.ref = row.maybe_text(9);
  role.ref_prefix = row.maybe_text(10);
  role.expires_in = Millis{row.int64(11)};
  out.created_by = row.text(12);
  out.created_at = from_unix_ms(row.int64(13));
  return out;
}

/// Only what an issuer's name may be: its text is compared, and its discovery is fetched below it.
void check_issuer(wire::ObjectReader& reader, oidc::BoundRole const& role) {
  auto const url = net::Url::parse(role.issuer);
  if (!role.issuer.empty() && (!url || url->scheme != "https" || role.issuer.find('?') != std::string::npos))
    reader.fault("issuer", "expected https://HOST[:PORT][/PATH], as the issuer writes itself in `iss`");
  net::ClientConfig config;
  config.ca_pem = role.issuer_ca;
  if (auto const trusts = net::Client::check(config); !role.issuer_ca.empty() && !trusts)
    reader.fault("issuer_ca", "expected certificates in PEM: " + trusts.error().detail);
}

}  // namespace

Result<BoundRoleRow> load_bound_role(db::Connection& reader, std::string_view name) {
  auto row = reader.prepare(queries::kBoundRole);
  row.bind(1, name);
  FLEET_TRY(bool const found, row.step());
  if (found) return read_row(row);
  return unknown_role(name);
}

Error unknown_role(std::string_view name) {
  return {Kind::not_found, "unknown_role", fmt::format("there is no bound role '{}'", name.substr(0, 128)), "`fleetctl role list` shows those there are"};
}

Result<std::vector<BoundRoleRow>> list_bound_roles(db::Connection& reader, std::string_view after, int limit) {
  std::vector<BoundRoleRow> out;
  auto rows = reader.prepare(queries::kBoundRoles);
  rows.bind_all(after, limit);
  while (true) {
    FLEET_TRY(bool const found, rows.step());
    if (!found) return out;
    out.push_back(read_row(rows));
  }
}

Result<void> insert_bound_role(store::Tx& tx, BoundRoleRow const& row) {
  auto const& role = row.role;
  auto add = tx.prepare(queries::kAddBoundRole);
  add.bind_all(role.name, role.role, db::text_or_null(role.model), db::text_or_null(role.selector), role.issuer, role.issuer_ca, role.audience, role.repository_claim, role.repository,
               role.ref, role.ref_prefix, role.expires_in.count(), row.created_by, to_unix_ms(row.created_at));
  return add.run();
}

Result<void> delete_bound_role(store::Tx& tx, std::string_view name, SysTime now) {
  FLEET_CHECK(tx.prepare(queries::kDeleteBoundRole).bind_all(name).run());
  return tx.prepare(queries::kRevokeExchanged).bind_all(name, to_unix_ms(now)).run();
}

Result<oidc::BoundRole> decode_bound_role(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body, kRoleBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  oidc::BoundRole out;
  out.name = reader.required_text("name", 128);
  out.role = reader.required_text("role", 32);
  out.model = reader.text("model", 64, {});
  out.selector = reader.text("selector", 4'096, {});
  out.issuer = reader.required_text("issuer", 512);
  out.issuer_ca = reader.required_text("issuer_ca", kRoleBytesMax);
  out.audience = reader.required_text("audience", 512);
  out.repository_claim = reader.text("repository_claim", 32, "repository");
  out.repository = reader.required_text("repository", 512);
  out.ref = db::text_or_null(reader.text("ref", 512, {}));
  out.ref_prefix = db::text_or_null(reader.text("ref_prefix", 512, {}));
  out.expires_in = reader.duration("expires_in").value_or(kLifetimeDefault);
  if (!out.role.empty() && (!is_role(out.role) || out.role == "admin"))
    reader.fault("role", fmt::format("expected viewer, operator, publisher or approver, got '{}'", out.role));
  if (is_role(out.name)) reader.fault("name", "the name of a role that tokens have");
  if (std::find(kRepositoryClaims.begin(), kRepositoryClaims.end(), out.repository_claim) == kRepositoryClaims.end())
    reader.fault("repository_claim", fmt::format("expected repository or project_path, got '{}'", out.repository_claim));
  if (out.ref.has_value() == out.ref_prefix.has_value()) reader.fault("ref", "expected either ref, exactly, or ref_prefix");
  if (out.expires_in < kLifetimeMin || out.expires_in > kLifetimeMax) reader.fault("expires_in", "expected 1m to 6h");
  check_issuer(reader, out);
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_CHECK(check_id("name", out.name));
  if (!out.model.empty()) FLEET_CHECK(check_model_name(out.model));
  return out;
}

json::object bound_role_object(BoundRoleRow const& row) {
  auto const& role = row.role;
  json::array permissions;
  for (auto const permission : kRoleColumns)
    if (role_allows(role.role, permission)) permissions.push_back(json::value(to_string(permission)));
  return {{"name", role.name},
          {"permissions", std::move(permissions)},
          {"role", role.role},
          {"model", wire::text_or_null(role.model)},
          {"selector", wire::text_or_null(role.selector)},
          {"issuer", role.issuer},
          {"issuer_ca_sha256", crypto::sha256(role.issuer_ca).hex()},
          {"audience", role.audience},
          {"repository_claim", role.repository_claim},
          {"repository", role.repository},
          {"ref", wire::text_or_null(role.ref)},
          {"ref_prefix", wire::text_or_null(role.ref_prefix)},
          {"expires_in", fleet::to_string(role.expires_in)},
          {"identity", oidc::identity_of(role)},
          {"created_by", row.created_by},
          {"created_at", to_rfc3339(row.created_at)}};
}

}  // namespace fleet::access
