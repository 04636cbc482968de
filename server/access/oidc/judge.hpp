#pragma once

#include "core/wire/jwt.hpp"

#include <optional>
#include <string>

namespace fleet::oidc {

/// Leeway for clocks that differ, and the longest life and reach into the past that an identity token may have.
inline constexpr std::chrono::seconds kLeeway{60};
inline constexpr std::chrono::hours kLifetimeMax{6};

/// What an issuer's tokens must say, exactly, to get a role.
struct BoundRole {
  std::string name;
  std::string role;             ///< viewer, operator, publisher or approver
  std::string model, selector;  ///< limits of the tokens it gives; empty: none
  std::string issuer;           ///< https URL, compared as text
  std::string issuer_ca;        ///< PEM
  std::string audience;
  std::string repository_claim;  ///< how the issuer calls it: `repository`, `project_path`
  std::string repository;
  std::optional<std::string> ref, ref_prefix;  ///< one of them
  Millis expires_in{0};                        ///< of the tokens it gives
  bool operator==(BoundRole const&) const = default;
};

/// Do verified claims get the role? One audience, and exactly the role's; repository and ref as the role pins them.
/// @errors unauthenticated (code `oidc_refused`, naming the claim and what it said; what would do is not told to strangers)
[[nodiscard]] Result<void> judge(BoundRole const& role, wire::IdClaims const& claims, SysTime now);

/// Whom the audit log and approvals take the token's holder for: `oidc:REPOSITORY@ISSUER`, without `https://`. All branches and workflows of a
/// repository are one identity.
[[nodiscard]] std::string identity_of(BoundRole const& role);

}  // namespace fleet::oidc
