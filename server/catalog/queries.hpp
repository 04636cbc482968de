#pragma once

#include "core/db/db.hpp"

#include <array>

namespace fleet::catalog {

inline constexpr db::Query kNewestMetadata{"newest_metadata",
                                           "SELECT version, expires_at, bytes FROM metadata WHERE repository = ?1 AND role = ?2 ORDER BY version DESC LIMIT 1"};
inline constexpr db::Query kInsertMetadata{"insert_metadata", "INSERT INTO metadata (repository, role, version, bytes, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)"};
inline constexpr db::Query kModelNames{"model_names", "SELECT name FROM models ORDER BY name"};
inline constexpr db::Query kApprovedDocuments{"approved_documents", "SELECT version, document FROM releases WHERE model = ?1 AND state = 'approved' ORDER BY n"};

inline constexpr std::array kQueries{kNewestMetadata, kInsertMetadata, kModelNames, kApprovedDocuments};

}  // namespace fleet::catalog
