#pragma once

#include "server/store/sqlite/db.hpp"

#include <array>

/// Every SQL text of this folder (tests prepare them all on the newest schema).
namespace fleet::registry::queries {

#define FLEET_DEVICE_COLUMNS                                                                                                    \
  "SELECT d.n, d.id, d.hardware, d.state, d.labels, d.reported, d.key_sha256, d.not_after, d.agent, d.revision, d.created_at, " \
  "coalesce(c.seen_at, 0), coalesce(c.poll_every_s, 0), coalesce(d.clone_suspected_at, 0), d.cache FROM devices d LEFT JOIN contacts c ON c.device = d.n "

inline constexpr db::Query kDeviceById{"registry.device_by_id", FLEET_DEVICE_COLUMNS "WHERE d.id = ?1"};
inline constexpr db::Query kDeviceByKey{"registry.device_by_key", FLEET_DEVICE_COLUMNS "WHERE d.key_sha256 = ?1"};
/// What a selector and filters can be narrowed by; the rest is judged row by row.
inline constexpr db::Query kScan{
    "registry.scan", FLEET_DEVICE_COLUMNS
    "WHERE d.n > ?1 AND (?2 IS NULL OR d.state = ?2) AND (?3 IS NULL OR d.hardware = ?3) AND (?4 IS NULL OR d.id = ?4) "
    "AND (?5 IS NULL OR json_extract(d.labels, ?5) = ?6) "
    "AND (?7 IS NULL OR EXISTS (SELECT 1 FROM device_models m WHERE m.device = d.n AND m.model = ?7 AND m.running = ?8)) "
    // Who runs something made from a release (?10 ?11) or a data set (?12): found from the releases, not from the devices.
    "AND ((?10 IS NULL AND ?12 IS NULL) OR d.n IN (WITH RECURSIVE made(n) AS (SELECT r.n FROM releases r WHERE (r.model = ?10 AND r.version = "
    "?11) OR (?12 IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(r.datasets) s WHERE s.value ->> 'name' = ?12 OR s.value ->> 'sha256' = ?12)) "
    "UNION SELECT p.release FROM release_parents p JOIN made ON p.parent = made.n) SELECT m.device FROM made JOIN releases r ON r.n = made.n "
    "JOIN device_models m ON m.model = r.model AND m.running = r.version WHERE ?13 = '' OR r.model = ?13)) "
    "ORDER BY d.n LIMIT ?9"};
#undef FLEET_DEVICE_COLUMNS

inline constexpr db::Query kKey{"registry.key", "SELECT n, id, state, not_after FROM devices WHERE key_sha256 = ?1"};
inline constexpr db::Query kRenewedKey{"registry.renewed_key",
                                       "SELECT d.n, d.id, d.state, d.not_after FROM pending_enrolments p JOIN devices d ON d.id = p.device_id "
                                       "WHERE p.key_sha256 = ?1 AND p.token_id = 'renewal'"};
inline constexpr db::Query kModels{
    "registry.models",
    "SELECT model, running, running_digest, version, state, rollout, since, error, waiting FROM device_models WHERE device = ?1 ORDER BY model"};
inline constexpr db::Query kRunningOf{
    "registry.running_of",
    "SELECT m.model, m.running, l.n FROM device_models m LEFT JOIN releases l ON l.model = m.model AND l.version = m.running AND "
    "l.digest = m.running_digest WHERE m.device = ?1 AND m.running IS NOT NULL"};
inline constexpr db::Query kDeviceFacts{"registry.device_facts", "SELECT id, hardware, labels, cache IS NOT NULL FROM devices WHERE n = ?1"};
inline constexpr db::Query kScanActive{"registry.scan_active",
                                       "SELECT n, id, hardware, labels FROM devices WHERE state = 'active' AND cache IS NULL ORDER BY n"};
inline constexpr db::Query kScanActiveOf{
    "registry.scan_active_of", "SELECT n, id, hardware, labels FROM devices WHERE hardware = ?1 AND state = 'active' AND cache IS NULL ORDER BY n"};
inline constexpr db::Query kHistory{
    "registry.history",
    "SELECT id, time, received, model, version, state, rollout, attempt, error FROM device_history WHERE device = ?1 AND id < ?2 "
    "AND (?4 = '' OR model = ?4) ORDER BY id DESC LIMIT ?3"};

inline constexpr db::Query kAddDevice{
    "registry.add_device",
    // A number is never given twice: what a deleted device did in rollouts stands under it.
    "INSERT INTO devices (n, id, hardware, state, labels, reported, key_sha256, not_after, created_at, cache) "
    "SELECT coalesce(max(tops.n), 0) + 1, ?1, ?2, 'active', ?3, ?4, ?5, ?6, ?7, ?8 "
    "FROM (SELECT max(n) AS n FROM devices UNION ALL SELECT max(device) FROM rollout_devices) AS tops"};
inline constexpr db::Query kRefreshDevice{
    "registry.refresh_device", "UPDATE devices SET hardware = ?2, labels = ?3, reported = ?4, epoch = epoch + 1, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kRekeyDevice{"registry.rekey_device",
                                        "UPDATE devices SET hardware = ?2, state = 'active', labels = ?3, reported = ?4, key_sha256 = ?5, not_after = 0, "
                                        "clone_suspected_at = NULL, boot_id = '', "
                                        "epoch = epoch + 1, revision = revision + 1 WHERE n = ?1"};
// A key that an enrolment brings begins every tier of reports at 0.
inline constexpr db::Query kForgetTiers{"registry.forget_tiers", "DELETE FROM device_tiers WHERE device = ?1"};
inline constexpr db::Query kQuota{"registry.quota", "SELECT remaining, as_of, exceeded, told_at FROM device_quotas WHERE device = ?1 AND what = ?2"};
inline constexpr db::Query kPutQuota{"registry.put_quota",
                                     "INSERT INTO device_quotas (device, what, remaining, as_of, exceeded, told_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (device, what) "
                                     "DO UPDATE SET remaining = excluded.remaining, as_of = excluded.as_of, exceeded = excluded.exceeded, told_at = excluded.told_at"};
inline constexpr db::Query kForgetModels{"registry.forget_models", "DELETE FROM device_models WHERE device = ?1"};
inline constexpr db::Query kSetNotAfter{"registry.set_not_after", "UPDATE devices SET not_after = max(not_after, ?2) WHERE n = ?1"};
inline constexpr db::Query kSetKey{"registry.set_key", "UPDATE devices SET key_sha256 = ?2, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kSetState{"registry.set_state", "UPDATE devices SET state = ?2, epoch = epoch + 1, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kSetLabels{"registry.set_labels", "UPDATE devices SET labels = ?2, epoch = epoch + 1, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kDeleteDevice{"registry.delete_device", "DELETE FROM devices WHERE n = ?1"};

inline constexpr db::Query kPutPending{
    "registry.put_pending",
    "INSERT INTO pending_enrolments (device_id, key_sha256, csr, hardware, labels, reported, token_id, created_at) VALUES (?1, ?2, ?3, "
    "?4, ?5, ?6, ?7, ?8) "
    "ON CONFLICT (device_id, key_sha256) DO UPDATE SET csr = excluded.csr, hardware = excluded.hardware, labels = excluded.labels, "
    "reported = excluded.reported, token_id = excluded.token_id, created_at = excluded.created_at"};
inline constexpr db::Query kPendingOf{"registry.pending_of",
                                      "SELECT device_id, key_sha256, hardware, labels, reported, token_id, created_at FROM pending_enrolments "
                                      "WHERE device_id = ?1 AND token_id <> 'renewal' ORDER BY key_sha256"};
inline constexpr db::Query kPending{"registry.pending",
                                    "SELECT device_id, key_sha256, hardware, labels, reported, token_id, created_at FROM pending_enrolments "
                                    "WHERE (device_id, key_sha256) > (?1, ?2) AND token_id <> 'renewal' ORDER BY device_id, key_sha256"};
/// Other keys that wait for this device, and whether this one does.
inline constexpr db::Query kPendingBeside{"registry.pending_beside",
                                          "SELECT count(*) FILTER (WHERE key_sha256 <> ?2), count(*) FILTER (WHERE key_sha256 = ?2) FROM pending_enrolments "
                                          "WHERE device_id = ?1 AND token_id <> 'renewal'"};
inline constexpr db::Query kDropPending{"registry.drop_pending", "DELETE FROM pending_enrolments WHERE device_id = ?1 AND key_sha256 = ?2"};
inline constexpr db::Query kDropRenewals{"registry.drop_renewals", "DELETE FROM pending_enrolments WHERE device_id = ?1 AND token_id = 'renewal'"};
inline constexpr db::Query kDropOtherRenewals{"registry.drop_other_renewals",
                                              "DELETE FROM pending_enrolments WHERE device_id = ?1 AND token_id = 'renewal' AND key_sha256 <> ?2"};
inline constexpr db::Query kDropAllPending{"registry.drop_all_pending", "DELETE FROM pending_enrolments WHERE device_id = ?1"};

inline constexpr db::Query kJoinTokenByHash{
    "registry.join_token_by_hash",
    "SELECT id, coalesce(device_id, ''), coalesce(hardware, ''), labels, expires_at, used_at, coalesce(used_by, ''), revoked_at, "
    "coalesce(within, ''), cache FROM device_tokens WHERE hash = ?1"};
inline constexpr db::Query kUseJoinToken{"registry.use_join_token", "UPDATE device_tokens SET used_at = ?2, used_by = ?3 WHERE id = ?1"};
inline constexpr db::Query kAddJoinToken{
    "registry.add_join_token",
    "INSERT INTO device_tokens (id, hash, device_id, hardware, labels, created_by, created_at, expires_at, within, cache) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"};
inline constexpr db::Query kJoinTokens{
    "registry.join_tokens",
    "SELECT id, device_id, hardware, labels, created_by, created_at, expires_at, used_at, used_by, revoked_at, cache FROM device_tokens WHERE "
    "id > ?1 AND (?2 = '' OR created_by = ?2) ORDER BY id LIMIT ?3"};
inline constexpr db::Query kJoinTokenById{"registry.join_token_by_id", "SELECT revoked_at, created_by FROM device_tokens WHERE id = ?1"};
inline constexpr db::Query kRevokeJoinToken{"registry.revoke_join_token", "UPDATE device_tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL"};

inline constexpr db::Query kNewestRoot{"registry.newest_root",
                                       "SELECT bytes FROM metadata WHERE repository = ?1 AND role = 'root' ORDER BY version DESC LIMIT 1"};

/// `?1` a release that there is, or `?3` a data set that one is made from; of model `?4`, unless that is empty, something is made from it.
inline constexpr db::Query kOriginKnown{
    "registry.origin_known",
    "WITH RECURSIVE made(n) AS (SELECT r.n FROM releases r WHERE (r.model = ?1 AND r.version = ?2) OR (?3 IS NOT NULL AND EXISTS (SELECT 1 FROM "
    "json_each(r.datasets) s WHERE s.value ->> 'name' = ?3 OR s.value ->> 'sha256' = ?3)) "
    "UNION SELECT p.release FROM release_parents p JOIN made ON p.parent = made.n) "
    "SELECT 1 FROM made JOIN releases r ON r.n = made.n WHERE ?4 = '' OR r.model = ?4 LIMIT 1"};
inline constexpr db::Query kDevicesByState{"registry.devices_by_state", "SELECT state, devices FROM device_counts WHERE devices > 0 ORDER BY state"};

inline constexpr auto kAll = std::to_array<db::Query>({kDevicesByState, kDeviceById,
                                                       kDeviceByKey,
                                                       kScan,
                                                       kKey,
                                                       kRenewedKey,
                                                       kModels,
                                                       kRunningOf,
                                                       kDeviceFacts,
                                                       kScanActive,
                                                       kScanActiveOf,
                                                       kHistory,
                                                       kAddDevice,
                                                       kRefreshDevice,
                                                       kRekeyDevice,
                                                       kForgetModels,
                                                       kForgetTiers,
                                                       kQuota,
                                                       kPutQuota,
                                                       kSetNotAfter,
                                                       kSetKey,
                                                       kSetState,
                                                       kSetLabels,
                                                       kDeleteDevice,
                                                       kPutPending,
                                                       kPendingOf,
                                                       kPending,
                                                       kPendingBeside,
                                                       kDropPending,
                                                       kDropRenewals,
                                                       kDropOtherRenewals,
                                                       kDropAllPending,
                                                       kJoinTokenByHash,
                                                       kUseJoinToken,
                                                       kAddJoinToken,
                                                       kJoinTokens,
                                                       kJoinTokenById,
                                                       kRevokeJoinToken,
                                                       kNewestRoot, kOriginKnown});

}  // namespace fleet::registry::queries
