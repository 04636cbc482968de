#pragma once

#include "server/store/sqlite/db.hpp"

#include <array>

namespace fleet::blobs {

inline constexpr db::Query kGetBlob{"get_blob", "SELECT size FROM blobs WHERE sha256 = ?1"};
// ?2 empty: of any model.
inline constexpr db::Query kInRelease{
    "blob_in_release", "SELECT 1 FROM release_files f JOIN releases r ON r.n = f.release WHERE f.sha256 = ?1 AND (?2 = '' OR r.model = ?2) LIMIT 1"};
inline constexpr db::Query kNamedToDevice{
    "blob_named_to_device",
    "SELECT 1 FROM devices d JOIN named_releases n ON n.device = d.n JOIN release_files f ON f.sha256 = ?1 AND f.release = n.release "
    "JOIN release_hardware h ON h.release = n.release AND h.hardware = d.hardware AND h.variant = f.variant WHERE d.n = ?2 LIMIT 1"};
inline constexpr db::Query kCacheOf{"blob_cache_of", "SELECT cache FROM devices WHERE n = ?1"};
inline constexpr db::Query kUploadedBy{"uploaded_by", "SELECT 1 FROM uploads WHERE sha256 = ?1 AND created_by = ?2 AND state = 'done' LIMIT 1"};
inline constexpr db::Query kAllBlobs{"all_blobs", "SELECT sha256, size FROM blobs ORDER BY sha256"};
inline constexpr db::Query kInsertBlob{"insert_blob", "INSERT OR IGNORE INTO blobs (sha256, size, created_at) VALUES (?1, ?2, ?3)"};
inline constexpr db::Query kGetUpload{"get_upload", "SELECT id, sha256, size, received, state, created_by FROM uploads WHERE id = ?1"};
inline constexpr db::Query kOpenUploadOf{
    "open_upload_of",
    "SELECT id, sha256, size, received, state, created_by FROM uploads WHERE sha256 = ?1 AND size = ?2 AND created_by = ?3 AND state = 'open' LIMIT 1"};
inline constexpr db::Query kInsertUpload{
    "insert_upload", "INSERT INTO uploads (id, sha256, size, state, created_by, created_at, touched_at) VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?5)"};
inline constexpr db::Query kInsertDone{
    "insert_done_upload",
    "INSERT INTO uploads (id, sha256, size, received, state, created_by, created_at, touched_at) VALUES (?1, ?2, ?3, ?3, 'done', ?4, ?5, ?5)"};
inline constexpr db::Query kSetReceived{"set_received", "UPDATE uploads SET received = ?2, touched_at = ?3 WHERE id = ?1"};
inline constexpr db::Query kFinishUpload{"finish_upload", "UPDATE uploads SET state = 'done' WHERE id = ?1"};
inline constexpr db::Query kOpenUploads{"open_uploads", "SELECT count(*), coalesce(sum(size - received), 0) FROM uploads WHERE created_by = ?1 AND state = 'open'"};
inline constexpr db::Query kForgottenUploads{"forgotten_uploads", "SELECT id FROM uploads WHERE touched_at < ?1 ORDER BY touched_at, id LIMIT 20"};
inline constexpr db::Query kDeleteUpload{"delete_upload", "DELETE FROM uploads WHERE id = ?1"};

inline constexpr auto kQueries = std::to_array<db::Query>({kGetBlob, kInRelease, kNamedToDevice, kCacheOf, kUploadedBy, kAllBlobs, kInsertBlob, kGetUpload, kOpenUploadOf, kInsertUpload, kInsertDone, kSetReceived, kFinishUpload, kOpenUploads, kForgottenUploads, kDeleteUpload});

}  // namespace fleet::blobs
