#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::events {

inline constexpr db::Query kLastAudit{"last_audit", "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"};
inline constexpr db::Query kInsertAudit{"insert_audit",
                                        "INSERT INTO audit (seq, time, actor, action, subject, before, after, reason, request_id, prev, hash) "
                                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"};
inline constexpr db::Query kInsertEvent{"insert_event", "INSERT INTO events (time, type, subject, actor, data) VALUES (?1, ?2, ?3, ?4, ?5)"};
inline constexpr db::Query kFindAudit{"find_audit",
                                      "SELECT seq, time, actor, action, subject, coalesce(before, ''), coalesce(after, ''), reason, request_id, prev, hash "
                                      "FROM audit WHERE seq > ?1 AND (?3 = '' OR actor = ?3) AND (?4 = '' OR action = ?4) AND (?5 = '' OR subject = ?5) AND time >= ?6 "
                                      "ORDER BY seq LIMIT ?2"};
inline constexpr db::Query kUnsigned{"audit_unsigned",
                                     "SELECT coalesce((SELECT max(seq) FROM audit), 0) - coalesce((SELECT max(seq) FROM audit_checkpoints), 0)"};
inline constexpr db::Query kGetCheckpoint{"get_checkpoint", "SELECT seq, time, envelope FROM audit_checkpoints WHERE seq = ?1"};
inline constexpr db::Query kInsertCheckpoint{"insert_checkpoint", "INSERT INTO audit_checkpoints (seq, time, envelope) VALUES (?1, ?2, ?3)"};
inline constexpr db::Query kListCheckpoints{"list_checkpoints", "SELECT seq, time, envelope FROM audit_checkpoints WHERE seq > ?1 ORDER BY seq LIMIT ?2"};
inline constexpr db::Query kAuditSequence{"events.audit_sequence", "SELECT coalesce(max(seq), 0) FROM audit"};
inline constexpr db::Query kLastEvent{"events.last_event", "SELECT coalesce(max(id), 0) FROM events"};
inline constexpr db::Query kEvents{"events.events", "SELECT id, time, type, subject, actor, data FROM events WHERE id > ?1 ORDER BY id LIMIT ?2"};

inline constexpr std::array kQueries{kAuditSequence, kLastEvent, kEvents, kLastAudit, kInsertAudit, kInsertEvent, kFindAudit, kUnsigned, kGetCheckpoint, kInsertCheckpoint, kListCheckpoints};

}  // namespace fleet::events
