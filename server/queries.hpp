#pragma once

#include "core/db/db.hpp"

#include <array>

namespace fleet::server {

inline constexpr db::Query kSetSetting{"set_setting",
                                       "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};
inline constexpr db::Query kGetSetting{"get_setting", "SELECT value FROM settings WHERE name = ?1"};
inline constexpr db::Query kInsertAdminToken{
    "insert_admin_token", "INSERT INTO tokens (id, name, role, hash, created_by, created_at) VALUES (?1, 'admin', 'admin', ?2, 'system:init', ?3)"};
inline constexpr db::Query kListBlobs{"list_blobs", "SELECT sha256, size FROM blobs ORDER BY sha256"};
// A restored server must speak with higher sequences than the one that is lost ever used (protocol.md, Restore).
inline constexpr db::Query kRaiseSequences{"raise_sequences", "UPDATE devices SET directive_sequence = max(directive_sequence + 1, ?1), epoch = epoch + 1"};
inline constexpr db::Query kDropOpenUploads{"drop_open_uploads", "DELETE FROM uploads WHERE state = 'open'"};
inline constexpr db::Query kListRoles{"list_roles", "SELECT DISTINCT role FROM metadata WHERE repository = 'release' ORDER BY role"};
// What is past its time. Events and histories are in the order of time but for clocks that were set: looking at the oldest rows alone bounds the work.
inline constexpr db::Query kForgetReplays{
    "forget_replays", "DELETE FROM idempotency WHERE (actor, key) IN (SELECT actor, key FROM idempotency WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)"};
inline constexpr db::Query kForgetEvents{"forget_events",
                                         "DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, time FROM events ORDER BY id LIMIT ?2) WHERE time <= ?1)"};
inline constexpr db::Query kForgetHistory{
    "forget_history",
    "DELETE FROM device_history WHERE id IN (SELECT id FROM (SELECT id, received FROM device_history ORDER BY id LIMIT ?2) WHERE received <= ?1)"};
inline constexpr db::Query kForgetExchanged{
    "forget_exchanged", "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE bound_role IS NOT NULL AND expires_at <= ?1 LIMIT ?2)"};

inline constexpr auto kQueries = std::to_array<db::Query>({kForgetReplays, kForgetEvents, kForgetHistory, kForgetExchanged, kSetSetting, kGetSetting,
                                                           kInsertAdminToken, kListBlobs, kRaiseSequences, kDropOpenUploads, kListRoles});

}  // namespace fleet::server
