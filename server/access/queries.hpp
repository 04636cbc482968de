#pragma once

#include "server/store/db/db.hpp"

#include <array>

/// Every SQL text of this folder (tests prepare them all on the newest schema).
namespace fleet::access::queries {

inline constexpr db::Query kTokenByHash{"access.token_by_hash",
                                        "SELECT name, role, coalesce(model, ''), coalesce(selector, ''), expires_at, revoked_at, identity, id FROM tokens WHERE hash = ?1"};
inline constexpr db::Query kTokenById{"access.token_by_id",
                                      "SELECT id, name, role, model, selector, created_by, created_at, expires_at, revoked_at, identity FROM tokens WHERE id = ?1"};
inline constexpr db::Query kTokens{
    "access.tokens", "SELECT id, name, role, model, selector, created_by, created_at, expires_at, revoked_at, identity FROM tokens WHERE id > ?1 ORDER BY id LIMIT ?2"};
inline constexpr db::Query kLiveTokenNamed{"access.live_token_named",
                                           "SELECT id FROM tokens WHERE name = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)"};
inline constexpr db::Query kAddToken{
    "access.add_token",
    "INSERT INTO tokens (id, name, role, model, selector, hash, created_by, created_at, expires_at, identity, bound_role) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"};
inline constexpr db::Query kRevokeToken{"access.revoke_token", "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL"};

inline constexpr db::Query kBoundRole{"access.bound_role",
                                      "SELECT name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, ref_prefix, "
                                      "expires_in_ms, created_by, created_at FROM bound_roles WHERE name = ?1"};
inline constexpr db::Query kBoundRoles{"access.bound_roles",
                                       "SELECT name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, ref_prefix, "
                                       "expires_in_ms, created_by, created_at FROM bound_roles WHERE name > ?1 ORDER BY name LIMIT ?2"};
inline constexpr db::Query kAddBoundRole{
    "access.add_bound_role",
    "INSERT INTO bound_roles (name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, ref_prefix, expires_in_ms, created_by, "
    "created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"};
inline constexpr db::Query kDeleteBoundRole{"access.delete_bound_role", "DELETE FROM bound_roles WHERE name = ?1"};
inline constexpr db::Query kLiveExchanged{"access.live_exchanged",
                                          "SELECT count(*) FROM tokens WHERE bound_role = ?1 AND expires_at > ?2 AND revoked_at IS NULL"};
inline constexpr db::Query kRevokeExchanged{"access.revoke_exchanged",
                                            "UPDATE tokens SET revoked_at = ?2 WHERE bound_role = ?1 AND revoked_at IS NULL AND expires_at > ?2"};

inline constexpr db::Query kUseUnderWay{"access.use_under_way", "SELECT node, since FROM uses_under_way WHERE actor = ?1 AND key = ?2"};
inline constexpr db::Query kBeginUse{"access.begin_use",
                                     "INSERT INTO uses_under_way (actor, key, node, since) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (actor, key) DO UPDATE SET node = excluded.node, since = excluded.since"};
inline constexpr db::Query kEndUse{"access.end_use", "DELETE FROM uses_under_way WHERE actor = ?1 AND key = ?2 AND node = ?3"};
inline constexpr db::Query kReplay{"access.replay", "SELECT request, status, headers, body FROM idempotency WHERE actor = ?1 AND key = ?2 AND created_at > ?3"};
inline constexpr db::Query kKeepReplay{"access.keep_replay",
                                       "INSERT INTO idempotency (actor, key, request, status, headers, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                                       "ON CONFLICT (actor, key) DO UPDATE SET request = ?3, status = ?4, headers = ?5, body = ?6, created_at = ?7"};

inline constexpr auto kAll = std::to_array<db::Query>({kTokenByHash, kTokenById, kTokens, kLiveTokenNamed, kAddToken, kRevokeToken, kBoundRole, kBoundRoles, kAddBoundRole, kDeleteBoundRole, kLiveExchanged, kRevokeExchanged, kUseUnderWay, kBeginUse, kEndUse, kReplay, kKeepReplay});

}  // namespace fleet::access::queries
