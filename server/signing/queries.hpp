#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::signing {

inline constexpr db::Query kNewestMetadata{"newest_metadata",
                                           "SELECT version, expires_at, bytes FROM metadata WHERE repository = ?1 AND role = ?2 ORDER BY version DESC LIMIT 1"};
inline constexpr db::Query kRolesAndExpiry{
    "roles_and_expiry",
    "SELECT m.repository, m.role, m.version, m.expires_at FROM metadata m WHERE m.version = (SELECT max(n.version) FROM metadata n WHERE "
    "n.repository = m.repository AND n.role = m.role) ORDER BY m.repository DESC, m.role"};
inline constexpr db::Query kRememberWarning{
    "remember_warning",
    "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE settings.value <> excluded.value"};
inline constexpr db::Query kGetMetadata{"get_metadata", "SELECT bytes FROM metadata WHERE repository = ?1 AND role = ?2 AND version = ?3"};
inline constexpr db::Query kAllMetadata{"all_metadata", "SELECT repository, role, version, bytes FROM metadata ORDER BY repository, role, version"};
inline constexpr db::Query kInsertMetadata{"insert_metadata",
                                           "INSERT INTO metadata (repository, role, version, bytes, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)"};
/// Roots stay: a client may come from any of them.
inline constexpr db::Query kForgetVersions{"forget_versions", "DELETE FROM metadata WHERE repository = ?1 AND role = ?2 AND version <= ?3 AND role <> 'root'"};
inline constexpr db::Query kModelNames{"model_names", "SELECT name FROM models ORDER BY name"};
inline constexpr db::Query kApprovedDocuments{"approved_documents",
                                              "SELECT version, document FROM releases WHERE model = ?1 AND state = 'approved' ORDER BY n"};

inline constexpr auto kQueries = std::to_array<db::Query>({kNewestMetadata, kRolesAndExpiry, kRememberWarning, kGetMetadata, kAllMetadata, kInsertMetadata, kForgetVersions, kModelNames, kApprovedDocuments});

}  // namespace fleet::signing
