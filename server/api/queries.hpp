#pragma once

#include "core/db/db.hpp"

#include <array>

/// Every SQL text of this folder (tests prepare them all on the newest schema).
namespace fleet::api::queries {

inline constexpr db::Query kTokenByHash{"api.token_by_hash",
                                        "SELECT name, role, coalesce(model, ''), coalesce(selector, ''), expires_at, revoked_at, identity, id FROM tokens WHERE hash = ?1"};
inline constexpr db::Query kTokenById{"api.token_by_id",
                                      "SELECT id, name, role, model, selector, created_by, created_at, expires_at, revoked_at, identity FROM tokens WHERE id = ?1"};
inline constexpr db::Query kTokens{
    "api.tokens", "SELECT id, name, role, model, selector, created_by, created_at, expires_at, revoked_at, identity FROM tokens WHERE id > ?1 ORDER BY id LIMIT ?2"};
inline constexpr db::Query kLiveTokenNamed{"api.live_token_named",
                                           "SELECT id FROM tokens WHERE name = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)"};
inline constexpr db::Query kAddToken{
    "api.add_token",
    "INSERT INTO tokens (id, name, role, model, selector, hash, created_by, created_at, expires_at, identity, bound_role) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"};
inline constexpr db::Query kRevokeToken{"api.revoke_token", "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL"};

inline constexpr db::Query kBoundRole{"api.bound_role",
                                      "SELECT name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, ref_prefix, "
                                      "expires_in_ms, created_by, created_at FROM bound_roles WHERE name = ?1"};
inline constexpr db::Query kBoundRoles{"api.bound_roles",
                                       "SELECT name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, ref_prefix, "
                                       "expires_in_ms, created_by, created_at FROM bound_roles WHERE name > ?1 ORDER BY name LIMIT ?2"};
inline constexpr db::Query kAddBoundRole{
    "api.add_bound_role",
    "INSERT INTO bound_roles (name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, ref_prefix, expires_in_ms, created_by, "
    "created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"};
inline constexpr db::Query kDeleteBoundRole{"api.delete_bound_role", "DELETE FROM bound_roles WHERE name = ?1"};
inline constexpr db::Query kRevokeExchanged{"api.revoke_exchanged",
                                            "UPDATE tokens SET revoked_at = ?2 WHERE bound_role = ?1 AND revoked_at IS NULL AND expires_at > ?2"};

inline constexpr db::Query kReplay{"api.replay", "SELECT request, status, headers, body FROM idempotency WHERE actor = ?1 AND key = ?2 AND created_at > ?3"};
inline constexpr db::Query kKeepReplay{"api.keep_replay",
                                       "INSERT INTO idempotency (actor, key, request, status, headers, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                                       "ON CONFLICT (actor, key) DO UPDATE SET request = ?3, status = ?4, headers = ?5, body = ?6, created_at = ?7"};

inline constexpr db::Query kModelExists{"api.model_exists", "SELECT 1 FROM models WHERE name = ?1"};
inline constexpr db::Query kPing{"api.ping", "SELECT count(*) FROM settings WHERE name = ?1"};
inline constexpr db::Query kDevicesByState{"api.devices_by_state", "SELECT state, count(*) FROM devices GROUP BY state"};
inline constexpr db::Query kRolloutsByState{"api.rollouts_by_state", "SELECT state, count(*) FROM rollouts GROUP BY state"};
inline constexpr db::Query kAuditSequence{"api.audit_sequence", "SELECT coalesce(max(seq), 0) FROM audit"};
inline constexpr db::Query kLastEvent{"api.last_event", "SELECT coalesce(max(id), 0) FROM events"};
inline constexpr db::Query kEvents{"api.events", "SELECT id, time, type, subject, actor, data FROM events WHERE id > ?1 ORDER BY id LIMIT ?2"};

inline constexpr auto kAll =
    std::to_array<db::Query>({kTokenByHash, kTokenById, kTokens, kLiveTokenNamed, kAddToken, kRevokeToken, kBoundRole, kBoundRoles, kAddBoundRole, kDeleteBoundRole, kRevokeExchanged, kReplay, kKeepReplay, kModelExists, kPing,
                              kDevicesByState, kRolloutsByState, kAuditSequence, kLastEvent, kEvents});

}  // namespace fleet::api::queries
