#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::store {

// The writer's own: a transaction a group, a savepoint a job.
inline constexpr db::Query kBegin{"store_begin", "BEGIN IMMEDIATE", "BEGIN"};
inline constexpr db::Query kBeginReading{"store_begin_reading", "BEGIN"};
inline constexpr db::Query kCommit{"store_commit", "COMMIT"};
inline constexpr db::Query kRollback{"store_rollback", "ROLLBACK"};
inline constexpr db::Query kSavepoint{"store_savepoint", "SAVEPOINT job"};
inline constexpr db::Query kUndoJob{"store_undo_job", "ROLLBACK TO job"};
inline constexpr db::Query kReleaseJob{"store_release_job", "RELEASE job"};

/// The device may have been deleted since it was heard.
inline constexpr db::Query kPutContact{"store_put_contact",
                                       "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) SELECT n, ?2, ?3, ?4 FROM devices WHERE n = ?1 "
                                       "ON CONFLICT (device) DO UPDATE SET seen_at = CASE WHEN contacts.seen_at < ?2 THEN ?2 ELSE contacts.seen_at END, poll_every_s = ?3, report_every_s = ?4"};
inline constexpr db::Query kSeenAt{"store_seen_at", "SELECT seen_at FROM contacts WHERE device = ?1"};
inline constexpr db::Query kPing{"store.ping", "SELECT count(*) FROM settings WHERE name = ?1"};

inline constexpr db::Query kGetSetting{"store_get_setting", "SELECT value FROM settings WHERE name = ?1"};
inline constexpr db::Query kPutSetting{"store_put_setting", "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};

inline constexpr std::array kQueries{kPing, kBegin, kBeginReading, kCommit, kRollback, kSavepoint, kUndoJob, kReleaseJob, kPutContact, kSeenAt, kGetSetting, kPutSetting};

}  // namespace fleet::store
