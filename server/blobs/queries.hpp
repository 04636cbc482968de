#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::blobs {

inline constexpr db::Query kGetBlob{"get_blob", "SELECT size, generation FROM blobs WHERE sha256 = ?1"};
// ?2 empty: of any model.
inline constexpr db::Query kInRelease{
    "blob_in_release", "SELECT 1 FROM release_files f JOIN releases r ON r.n = f.release WHERE f.sha256 = ?1 AND (?2 = '' OR r.model = ?2) LIMIT 1"};
// The same as it goes over networks: what is protected is there encrypted alone.
inline constexpr db::Query kInOpenRelease{
    "blob_in_open_release",
    "SELECT 1 FROM release_files f JOIN releases r ON r.n = f.release WHERE f.sha256 = ?1 AND r.protected = '' AND (?2 = '' OR r.model = ?2) LIMIT 1"};
inline constexpr db::Query kNamedToDevice{
    "blob_named_to_device",
    "SELECT 1 FROM devices d JOIN named_releases n ON n.device = d.n JOIN releases r ON r.n = n.release AND r.protected = '' JOIN release_files f ON f.sha256 = ?1 AND f.release = n.release "
    "JOIN release_hardware h ON h.release = n.release AND h.hardware = d.hardware AND h.variant = f.variant WHERE d.n = ?2 LIMIT 1"};
inline constexpr db::Query kCacheOf{"blob_cache_of", "SELECT cache FROM devices WHERE n = ?1"};
inline constexpr db::Query kUploadedBy{"uploaded_by", "SELECT 1 FROM uploads WHERE sha256 = ?1 AND created_by = ?2 AND state = 'done' LIMIT 1"};
inline constexpr db::Query kAllBlobs{"all_blobs", "SELECT sha256, size, generation FROM blobs ORDER BY sha256"};
inline constexpr db::Query kInsertBlob{"insert_blob", "INSERT INTO blobs (sha256, size, created_at, generation) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"};
// It stays while the transaction lasts, whoever would remove it: what nodes share has no one writer.
inline constexpr db::Query kHoldBlob{"hold_blob", "UPDATE blobs SET size = size WHERE sha256 = ?1"};
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
inline constexpr db::Query kForgottenUploads{"forgotten_uploads", "SELECT id, received FROM uploads WHERE touched_at < ?1 ORDER BY touched_at, id LIMIT 20"};
inline constexpr db::Query kDeleteUpload{"delete_upload", "DELETE FROM uploads WHERE id = ?1"};

// What nobody names any more (garbage.hpp): a few rows a step, in the order of the key.
inline constexpr db::Query kBlobsAfter{"blobs_after", "SELECT sha256, size, created_at, generation FROM blobs WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2"};
inline constexpr db::Query kIsNamed{
    "blob_is_named", "SELECT 1 WHERE EXISTS (SELECT 1 FROM release_files WHERE sha256 = ?1) OR EXISTS (SELECT 1 FROM uploads WHERE sha256 = ?1)"};
inline constexpr db::Query kDeleteBlob{"delete_blob", "DELETE FROM blobs WHERE sha256 = ?1"};
inline constexpr db::Query kNoteRemoval{"note_blob_removal",
                                        "INSERT INTO blob_removals (sha256, size, removed_at) VALUES (?1, ?2, ?3) "
                                        "ON CONFLICT (sha256) DO UPDATE SET removed_at = excluded.removed_at"};
inline constexpr db::Query kRemovalsDue{"blob_removals_due", "SELECT sha256, size FROM blob_removals WHERE removed_at <= ?1 ORDER BY removed_at LIMIT ?2"};
inline constexpr db::Query kForgetRemoval{"forget_blob_removal", "DELETE FROM blob_removals WHERE sha256 = ?1"};
inline constexpr db::Query kRemovalBytes{"blob_removal_bytes", "SELECT coalesce(sum(size), 0) FROM blob_removals"};
// The same of stores that nodes share: by generation, and removed outside of transactions.
inline constexpr db::Query kNoteLeftover{
    "note_leftover", "INSERT INTO blob_leftovers (sha256, generation, size, noted_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"};
inline constexpr db::Query kClaimLeftover{"claim_leftover", "DELETE FROM blob_leftovers WHERE sha256 = ?1 AND generation = ?2 AND doomed = 0"};
inline constexpr db::Query kDoomLeftovers{
    "doom_leftovers", "UPDATE blob_leftovers SET doomed = 1 WHERE doomed = 0 AND noted_at <= ?1"};
inline constexpr db::Query kDoomedLeftovers{"doomed_leftovers", "SELECT sha256, generation, size FROM blob_leftovers WHERE doomed = 1 ORDER BY noted_at LIMIT ?1"};
inline constexpr db::Query kForgetLeftover{"forget_leftover", "DELETE FROM blob_leftovers WHERE sha256 = ?1 AND generation = ?2"};
inline constexpr db::Query kLeftoverBytes{"leftover_bytes", "SELECT coalesce(sum(size), 0) FROM blob_leftovers"};
inline constexpr db::Query kAddToTotal{
    "add_to_blob_total", "INSERT INTO blob_totals (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = blob_totals.value + excluded.value"};
inline constexpr db::Query kTotal{"blob_total", "SELECT value FROM blob_totals WHERE name = ?1"};
inline constexpr db::Query kForgetDone{
    "forget_done_uploads", "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE touched_at < ?1 AND state = 'done' ORDER BY touched_at LIMIT ?2)"};

inline constexpr auto kQueries = std::to_array<db::Query>({kGetBlob, kInRelease, kInOpenRelease, kNamedToDevice, kCacheOf, kUploadedBy, kAllBlobs, kInsertBlob, kHoldBlob, kGetUpload, kOpenUploadOf, kInsertUpload, kInsertDone, kSetReceived, kFinishUpload, kOpenUploads, kForgottenUploads, kDeleteUpload, kBlobsAfter, kIsNamed, kDeleteBlob, kNoteRemoval, kRemovalsDue, kForgetRemoval, kRemovalBytes, kNoteLeftover, kClaimLeftover, kDoomLeftovers, kDoomedLeftovers, kForgetLeftover, kLeftoverBytes, kAddToTotal, kTotal, kForgetDone});

}  // namespace fleet::blobs
