#include "server/access/oidc/judge.hpp"

#include <fmt/format.h>

namespace fleet::oidc {
namespace {

Error refused(std::string_view claim, std::string_view said) {
  return {Kind::unauthenticated, "oidc_refused", fmt::format("the identity token's '{}' is {}", claim, said), "an admin sees what the role takes: fleetctl role get NAME"};
}

std::string quoted(std::string_view text) { return fmt::format("'{}'", text.substr(0, 200)); }

Result<void> check_time(wire::IdClaims const& claims, SysTime now) {
  auto const at = [](SysTime time) { return to_rfc3339(time); };
  if (claims.expires_at + kLeeway <= now) return refused("exp", fmt::format("{}: it has expired", at(claims.expires_at)));
  if (claims.issued_at > now + kLeeway) return refused("iat", fmt::format("{}: in the future", at(claims.issued_at)));
  if (claims.not_before && *claims.not_before > now + kLeeway) return refused("nbf", fmt::format("{}: in the future", at(*claims.not_before)));
  if (claims.expires_at <= claims.issued_at || claims.expires_at - claims.issued_at > kLifetimeMax)
    return refused("exp", fmt::format("{}, of a token issued at {}: expected at most {} h", at(claims.expires_at), at(claims.issued_at), kLifetimeMax.count()));
  return {};
}

}  // namespace

Result<void> judge(BoundRole const& role, wire::IdClaims const& claims, SysTime now) {
  auto const text = [&](std::string_view name) {
    auto const found = claims.texts.find(name);
    return found == claims.texts.end() ? std::string_view() : std::string_view(found->second);
  };
  if (claims.issuer != role.issuer) return refused("iss", quoted(claims.issuer));
  if (claims.audiences.size() != 1 || claims.audiences.front() != role.audience)
    return refused("aud", claims.audiences.size() == 1 ? quoted(claims.audiences.front()) : fmt::format("a list of {}", claims.audiences.size()));
  FLEET_CHECK(check_time(claims, now));
  if (text(role.repository_claim) != role.repository) return refused(role.repository_claim, quoted(text(role.repository_claim)));
  auto const ref = text("ref");
  bool const ref_fits = role.ref ? ref == *role.ref : role.ref_prefix && !role.ref_prefix->empty() && ref.starts_with(*role.ref_prefix);
  if (!ref_fits) return refused("ref", quoted(ref));
  return {};
}

std::string identity_of(BoundRole const& role) {
  auto const issuer = std::string_view(role.issuer);
  return fmt::format("oidc:{}@{}", role.repository, issuer.substr(issuer.starts_with("https://") ? 8 : 0));
}

}  // namespace fleet::oidc
