#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::admin {

inline constexpr db::Query kSetSetting{"set_setting",
                                       "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};
inline constexpr db::Query kGetSetting{"get_setting", "SELECT value FROM settings WHERE name = ?1"};
inline constexpr db::Query kInsertAdminToken{
    "insert_admin_token", "INSERT INTO tokens (id, name, role, hash, created_by, created_at) VALUES (?1, 'admin', 'admin', ?2, 'system:init', ?3)"};
inline constexpr db::Query kListBlobs{"list_blobs", "SELECT sha256, size, generation FROM blobs ORDER BY sha256"};
inline constexpr db::Query kForgetSetting{"forget_setting", "DELETE FROM settings WHERE name = ?1"};
// Whether blobs lie in DIR/blobs (?1 1), or in a store that is shared (0).
inline constexpr db::Query kLiesThere{"blobs_lie_there", "SELECT 1 FROM blobs WHERE (CASE WHEN generation = '' THEN 1 ELSE 0 END) = ?1 LIMIT 1"};
inline constexpr db::Query kSetGeneration{"set_generation", "UPDATE blobs SET generation = ?2 WHERE sha256 = ?1"};
inline constexpr db::Query kForgetGenerations{"forget_generations", "UPDATE blobs SET generation = ''"};
inline constexpr db::Query kForgetLeftovers{"forget_leftovers", "DELETE FROM blob_leftovers"};
inline constexpr db::Query kForgetRemovals{"forget_removals", "DELETE FROM blob_removals"};
// A restored server must speak with higher sequences than the one that is lost ever used (protocol.md, Restore).
inline constexpr db::Query kRaiseSequences{"raise_sequences", "UPDATE devices SET directive_sequence = (SELECT max(s.next) FROM (SELECT directive_sequence + 1 AS next UNION ALL SELECT reserved_sequence + 1 UNION ALL SELECT ?1) AS s), epoch = epoch + 1"};
inline constexpr db::Query kDropOpenUploads{"drop_open_uploads", "DELETE FROM uploads WHERE state = 'open'"};
inline constexpr db::Query kListRoles{"list_roles", "SELECT DISTINCT role FROM metadata WHERE repository = 'release' ORDER BY role"};

inline constexpr auto kQueries = std::to_array<db::Query>({kSetSetting, kGetSetting, kInsertAdminToken, kListBlobs, kForgetSetting, kLiesThere, kSetGeneration, kForgetGenerations, kForgetLeftovers, kForgetRemovals, kRaiseSequences, kDropOpenUploads, kListRoles});

}  // namespace fleet::admin
