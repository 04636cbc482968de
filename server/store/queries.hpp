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
                                       "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s, node, heard_s) SELECT n, ?2, ?3, ?4, ?5, ?6 FROM devices WHERE n = ?1 "
                                       "ON CONFLICT (device) DO UPDATE SET seen_at = CASE WHEN contacts.seen_at < ?2 THEN ?2 ELSE contacts.seen_at END, poll_every_s = ?3, report_every_s = ?4, "
                                       "moved_s = CASE WHEN contacts.node <> ?5 AND contacts.node <> '' THEN ?6 ELSE contacts.moved_s END, node = ?5, "
                                       "heard_s = CASE WHEN contacts.heard_s < ?6 THEN ?6 ELSE contacts.heard_s END"};
inline constexpr db::Query kSeenAt{"store_seen_at", "SELECT seen_at FROM contacts WHERE device = ?1"};
inline constexpr db::Query kPing{"store.ping", "SELECT count(*) FROM settings WHERE name = ?1"};

inline constexpr db::Query kGetSetting{"store_get_setting", "SELECT value FROM settings WHERE name = ?1"};
inline constexpr db::Query kPutSetting{"store_put_setting", "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};

// Several servers on one database (turns.hpp, lease.hpp). The row of `turns` is whose turn it is: held until its transaction ends.
inline constexpr db::Query kTakeTurn{"store_take_turn", "UPDATE turns SET n = n + 1 WHERE one = 1 RETURNING n"};
inline constexpr db::Query kTell{"store_tell", "INSERT INTO told (turn, node, changes) VALUES (?1, ?2, ?3)"};
inline constexpr db::Query kToldKept{"store_told_kept", "SELECT coalesce(min(turn), 0), coalesce(max(turn), 0) FROM told"};
inline constexpr db::Query kToldSince{"store_told_since", "SELECT turn, node, CASE WHEN node = ?2 THEN '' ELSE changes END FROM told WHERE turn > ?1 ORDER BY turn LIMIT ?3"};
/// The newest stays: without it a server that starts would take itself for one that heard everything.
inline constexpr db::Query kForgetTold{"store_forget_told", "DELETE FROM told WHERE turn < ?1 AND turn < (SELECT max(turn) FROM told)"};
inline constexpr db::Query kLease{"store_lease", "SELECT fence, holder, beat, service FROM leases WHERE name = ?1"};
inline constexpr db::Query kTakeLease{"store_take_lease", "UPDATE leases SET fence = fence + 1, holder = ?3, beat = beat + 1 WHERE name = ?1 AND fence = ?2"};
inline constexpr db::Query kKeepLease{"store_keep_lease", "UPDATE leases SET beat = beat + 1, service = ?3 WHERE name = ?1 AND fence = ?2"};
inline constexpr db::Query kGiveLease{"store_give_lease", "UPDATE leases SET holder = '' WHERE name = ?1 AND fence = ?2"};

inline constexpr std::array kQueries{kTakeTurn, kTell, kToldKept, kToldSince, kForgetTold, kLease, kTakeLease, kKeepLease, kGiveLease, kPing, kBegin, kBeginReading, kCommit, kRollback, kSavepoint, kUndoJob, kReleaseJob, kPutContact, kSeenAt, kGetSetting, kPutSetting};

}  // namespace fleet::store
