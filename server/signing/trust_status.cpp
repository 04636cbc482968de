#include "server/signing/queries.hpp"
#include "server/signing/trust_status.hpp"

#include "server/events/audit.hpp"

#include "server/signing/repository.hpp"
#include "server/signing/metadata_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::signing {
namespace {

bool expires_soon(std::string_view role, SysTime expires, SysTime now) { return expires - now < lifetime_of(role) / 4; }

}  // namespace

Result<std::vector<RoleStatus>> list_roles(db::Connection& reader) {
  std::vector<RoleStatus> out;
  auto rows = reader.prepare(kRolesAndExpiry);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    RoleStatus one;
    one.role = rows.text(0) == "directive" ? std::string_view(kDirectiveRoot) : rows.text_view(1);
    one.version = rows.int64(2);
    one.expires = from_unix_ms(rows.int64(3));
    out.push_back(std::move(one));
  }
}

Result<std::vector<RoleStatus>> trust_status(db::Connection& reader, KeyRing& keys, SysTime now) {
  FLEET_TRY(auto out, list_roles(reader));
  for (auto& one : out) {
    FLEET_TRY(auto const named, keys_of_role(reader, one.role));
    one.threshold = named.threshold;
    for (auto const& [id, key] : named.keys) one.key_ids.push_back(id);
    FLEET_TRY(one.here, holds_role(reader, keys, one.role));
    one.expires_soon = expires_soon(one.role, one.expires, now);
  }
  return out;
}

bool is_managed(std::vector<RoleStatus> const& roles) {
  return std::any_of(roles.begin(), roles.end(), [](RoleStatus const& one) {
    return one.here && one.threshold == 1 && (one.role == "root" || one.role == "targets" || one.role.starts_with("m-"));
  });
}

Result<void> warn_of_expiry(store::Tx& tx, KeyRing& keys, SysTime now) {
  FLEET_TRY(auto const roles, trust_status(tx.connection(), keys, now));
  for (auto const& one : roles) {
    if (!one.expires_soon) continue;
    auto told = tx.prepare(kRememberWarning);
    told.bind_all("trust_warned/" + one.role, one.version);
    FLEET_TRY(auto const news, told.affected());
    if (news == 0) continue;
    auto const data = fmt::format(R"({{"role":"{}","version":{},"expires":"{}","key":"{}"}})", one.role, one.version, to_rfc3339(one.expires),
                                  one.here ? "here" : "elsewhere");
    FLEET_CHECK(events::emit(tx, now, "trust.expiring", "role/" + one.role, "system:trust", data));
  }
  return {};
}

}  // namespace fleet::signing
