#pragma once

#include "server/store/db/db.hpp"
#include "server/store/db/set.hpp"

#include <array>

/// Every SQL text of this folder (tests prepare them all on the newest schema).
namespace fleet::registry::queries {

#define FLEET_DEVICE_COLUMNS                                                                                                    \
  "SELECT d.n, d.id, d.hardware, d.state, d.labels, d.reported, d.key_sha256, d.not_after, d.agent, d.revision, d.created_at, " \
  "coalesce(c.seen_at, 0), coalesce(c.poll_every_s, 0), coalesce(d.clone_suspected_at, 0), d.cache FROM devices d LEFT JOIN contacts c ON c.device = d.n "

inline constexpr db::Query kDeviceById{"registry.device_by_id", FLEET_DEVICE_COLUMNS "WHERE d.id = ?1"};
inline constexpr db::Query kDeviceByKey{"registry.device_by_key", FLEET_DEVICE_COLUMNS "WHERE d.key_sha256 = ?1"};
/// Of queries that look into JSON, and so have two texts: the data sets of a release `r` as rows `s.value`, and the text at a path into a device's labels.
#define FLEET_DATASETS_SQLITE "json_each(r.datasets) s"
#define FLEET_DATASETS_POSTGRES "json_array_elements(CAST(r.datasets AS json)) AS s(value)"
#define FLEET_LABEL_SQLITE(path) "json_extract(d.labels, " path ")"
#define FLEET_LABEL_POSTGRES(path) "jsonb_path_query_first(CAST(d.labels AS jsonb), CAST(CAST(" path " AS text) AS jsonpath)) #>> '{}'"

/// What a selector and filters can be narrowed by; the rest is judged row by row. A parameter that is asked for NULL first has its type by a CAST.
// Who runs something made from a release (?10 ?11) or a data set (?12) is found from the releases, not from the devices.
#define FLEET_SCAN(label, datasets) FLEET_DEVICE_COLUMNS \
    "WHERE d.n > ?1 AND (CAST(?2 AS TEXT) IS NULL OR d.state = ?2) AND (CAST(?3 AS TEXT) IS NULL OR d.hardware = ?3) AND (CAST(?4 AS TEXT) IS NULL OR d.id = ?4) " \
    "AND (CAST(?5 AS TEXT) IS NULL OR " label " = ?6) " \
    "AND (CAST(?7 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_models m WHERE m.device = d.n AND m.model = ?7 AND m.running = ?8)) " \
    "AND (CAST(?14 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM device_groups g JOIN device_list_ids i ON i.list = g.list WHERE g.name = ?14 AND i.device = d.id)) " \
    "AND ((CAST(?10 AS TEXT) IS NULL AND CAST(?12 AS TEXT) IS NULL) OR d.n IN (WITH RECURSIVE made(n) AS (SELECT r.n FROM releases r WHERE (r.model = ?10 AND r.version = " \
    "?11) OR (CAST(?12 AS TEXT) IS NOT NULL AND EXISTS (SELECT 1 FROM " datasets " WHERE s.value ->> 'name' = ?12 OR s.value ->> 'sha256' = ?12)) " \
    "UNION SELECT p.release FROM release_parents p JOIN made ON p.parent = made.n) SELECT m.device FROM made JOIN releases r ON r.n = made.n " \
    "JOIN device_models m ON m.model = r.model AND m.running = r.version WHERE ?13 = '' OR r.model = ?13)) " \
    "ORDER BY d.n LIMIT ?9"
inline constexpr db::Query kScan{"registry.scan", FLEET_SCAN(FLEET_LABEL_SQLITE("?5"), FLEET_DATASETS_SQLITE), FLEET_SCAN(FLEET_LABEL_POSTGRES("?5"), FLEET_DATASETS_POSTGRES)};
#undef FLEET_SCAN
#undef FLEET_DEVICE_COLUMNS

inline constexpr db::Query kKey{"registry.key", "SELECT n, id, state, not_after FROM devices WHERE key_sha256 = ?1"};
inline constexpr db::Query kRenewedKey{"registry.renewed_key",
                                       "SELECT d.n, d.id, d.state, d.not_after FROM pending_enrolments p JOIN devices d ON d.id = p.device_id "
                                       "WHERE p.key_sha256 = ?1 AND p.token_id = 'renewal'"};
inline constexpr db::Query kModels{
    "registry.models",
    "SELECT model, running, running_digest, version, state, rollout, since, error, waiting, to_fetch, variant, retest FROM device_models WHERE device = ?1 ORDER BY model"};
inline constexpr db::Query kRunningOf{
    "registry.running_of",
    "SELECT m.model, m.running, l.n FROM device_models m LEFT JOIN releases l ON l.model = m.model AND l.version = m.running AND "
    "l.digest = m.running_digest WHERE m.device = ?1 AND m.running IS NOT NULL"};
inline constexpr db::Query kDeviceFacts{"registry.device_facts", "SELECT id, hardware, labels, cache IS NOT NULL FROM devices WHERE n = ?1"};
// The same of many devices.
inline constexpr db::Query kFactsOfMany{"registry.facts_of_many",
                                        "SELECT n, id, hardware, labels, cache IS NOT NULL FROM devices WHERE state = 'active' AND n IN (" FLEET_SET ")"};
inline constexpr db::Query kRunningOfMany{
    "registry.running_of_many",
    "SELECT m.device, m.model, m.running, l.n FROM device_models m LEFT JOIN releases l ON l.model = m.model AND l.version = m.running AND "
    "l.digest = m.running_digest WHERE m.running IS NOT NULL AND m.device IN (" FLEET_SET ")"};
inline constexpr db::Query kListsOfMany{
    "registry.lists_of_many",
    "SELECT d.n, g.name FROM devices d JOIN device_list_ids i ON i.device = d.id JOIN device_groups g ON g.list = i.list WHERE d.n IN (" FLEET_SET ")"};
inline constexpr db::Query kScanActive{"registry.scan_active",
                                       "SELECT n, id, hardware, labels FROM devices WHERE state = 'active' AND cache IS NULL ORDER BY n"};
inline constexpr db::Query kScanActiveOf{
    "registry.scan_active_of", "SELECT n, id, hardware, labels FROM devices WHERE hardware = ?1 AND state = 'active' AND cache IS NULL ORDER BY n"};
inline constexpr db::Query kScanListed{"registry.scan_listed",
                                       "SELECT d.n, d.id, d.hardware, d.labels FROM device_groups g JOIN device_list_ids i ON i.list = g.list JOIN devices d ON "
                                       "d.id = i.device WHERE g.name = ?1 AND d.state = 'active' AND d.cache IS NULL ORDER BY d.n"};
inline constexpr db::Query kHistory{
    "registry.history",
    "SELECT id, time, received, model, version, state, rollout, attempt, error FROM device_history WHERE device = ?1 AND id < ?2 "
    "AND (?4 = '' OR model = ?4) ORDER BY id DESC LIMIT ?3"};

inline constexpr db::Query kAddDevice{
    "registry.add_device",
    // A number is never given twice: what a deleted device did in rollouts stands under it.
    "INSERT INTO devices (n, id, hardware, state, labels, reported, key_sha256, not_after, created_at, cache) "
    "SELECT coalesce(max(tops.n), 0) + 1, ?1, ?2, 'active', ?3, ?4, ?5, ?6, ?7, ?8 "
    "FROM (SELECT max(n) AS n FROM devices UNION ALL SELECT max(device) FROM rollout_devices) AS tops RETURNING n"};
inline constexpr db::Query kRefreshDevice{
    "registry.refresh_device", "UPDATE devices SET hardware = ?2, labels = ?3, reported = ?4, epoch = epoch + 1, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kRekeyDevice{"registry.rekey_device",
                                        "UPDATE devices SET hardware = ?2, state = 'active', labels = ?3, reported = ?4, key_sha256 = ?5, not_after = 0, "
                                        "clone_suspected_at = NULL, boot_id = '', "
                                        "epoch = epoch + 1, revision = revision + 1 WHERE n = ?1"};
// A key that an enrolment brings begins every tier of reports at 0.
inline constexpr db::Query kForgetTiers{"registry.forget_tiers", "DELETE FROM device_tiers WHERE device = ?1"};
inline constexpr db::Query kQuotas{"registry.quotas",
                                   "SELECT device, what, remaining, as_of, exceeded, told_at FROM device_quotas WHERE device IN (" FLEET_SET ")"};
inline constexpr db::Query kPutQuota{"registry.put_quota",
                                     "INSERT INTO device_quotas (device, what, remaining, as_of, exceeded, told_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (device, what) "
                                     "DO UPDATE SET remaining = excluded.remaining, as_of = excluded.as_of, exceeded = excluded.exceeded, told_at = excluded.told_at"};
inline constexpr db::Query kForgetModels{"registry.forget_models", "DELETE FROM device_models WHERE device = ?1"};
inline constexpr db::Query kSetNotAfter{"registry.set_not_after", "UPDATE devices SET not_after = CASE WHEN not_after < ?2 THEN ?2 ELSE not_after END WHERE n = ?1"};
inline constexpr db::Query kSetWrapKey{"registry.set_wrap_key", "UPDATE devices SET wrap_key = ?2, epoch = epoch + 1 WHERE id = ?1 AND wrap_key IS DISTINCT FROM ?2"};
inline constexpr db::Query kSetPendingWrapKey{"registry.set_pending_wrap_key",
                                               "UPDATE pending_enrolments SET wrap_key = ?3 WHERE device_id = ?1 AND key_sha256 = ?2"};
// Of the enrolment that is approved: another board has another key, or none.
inline constexpr db::Query kAdoptWrapKey{
    "registry.adopt_wrap_key", "UPDATE devices SET wrap_key = (SELECT p.wrap_key FROM pending_enrolments p WHERE p.device_id = ?1 AND p.key_sha256 = ?2) WHERE id = ?1"};
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
#define FLEET_ORIGIN_KNOWN(datasets) \
    "WITH RECURSIVE made(n) AS (SELECT r.n FROM releases r WHERE (r.model = ?1 AND r.version = ?2) OR (CAST(?3 AS TEXT) IS NOT NULL AND EXISTS (SELECT 1 FROM " \
    datasets " WHERE s.value ->> 'name' = ?3 OR s.value ->> 'sha256' = ?3)) " \
    "UNION SELECT p.release FROM release_parents p JOIN made ON p.parent = made.n) " \
    "SELECT 1 FROM made JOIN releases r ON r.n = made.n WHERE ?4 = '' OR r.model = ?4 LIMIT 1"
inline constexpr db::Query kOriginKnown{"registry.origin_known", FLEET_ORIGIN_KNOWN(FLEET_DATASETS_SQLITE), FLEET_ORIGIN_KNOWN(FLEET_DATASETS_POSTGRES)};
#undef FLEET_ORIGIN_KNOWN
#undef FLEET_DATASETS_SQLITE
#undef FLEET_DATASETS_POSTGRES
#undef FLEET_LABEL_SQLITE
#undef FLEET_LABEL_POSTGRES
inline constexpr db::Query kDevicesByState{"registry.devices_by_state", "SELECT state, devices FROM device_counts WHERE devices > 0 ORDER BY state"};

// versions by other names -----------------------------------------------------------------------------------------------------
inline constexpr db::Query kVersionKnown{"registry.version_known", "SELECT 1 FROM releases WHERE model = ?1 AND version = ?2"};
/// Rows are in the order of counters.
inline constexpr db::Query kLatestVersion{"registry.latest_version", "SELECT version FROM releases WHERE model = ?1 AND state = 'approved' ORDER BY n DESC LIMIT 1"};
inline constexpr db::Query kAliases{"registry.aliases", "SELECT aliases FROM models WHERE name = ?1"};

// groups --------------------------------------------------------------------------------------------------------------------
#define FLEET_GROUP_COLUMNS "SELECT name, selector, list, devices, digest, created_by, created_at, changed_at, revision FROM device_groups "
inline constexpr db::Query kGroup{"registry.group", FLEET_GROUP_COLUMNS "WHERE name = ?1"};
inline constexpr db::Query kGroups{"registry.groups", FLEET_GROUP_COLUMNS "WHERE name > ?1 ORDER BY name"};
#undef FLEET_GROUP_COLUMNS
inline constexpr db::Query kCountGroups{"registry.count_groups", "SELECT count(*) FROM device_groups"};
inline constexpr db::Query kListsOf{"registry.lists_of", "SELECT g.name FROM device_list_ids i JOIN device_groups g ON g.list = i.list WHERE i.device = ?1"};
inline constexpr db::Query kIdsOfList{"registry.ids_of_list",
                                      "SELECT i.device, EXISTS (SELECT 1 FROM devices d WHERE d.id = i.device) FROM device_list_ids i "
                                      "WHERE i.list = ?1 AND i.device > ?2 ORDER BY i.device LIMIT ?3"};
inline constexpr db::Query kCountUnknown{
    "registry.count_unknown", "SELECT count(*) FROM device_list_ids i WHERE i.list = ?1 AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.id = i.device)"};
inline constexpr db::Query kAddList{"registry.add_list", "INSERT INTO device_lists (list, made_at) SELECT coalesce(max(list), 0) + 1, ?1 FROM device_lists RETURNING list"};
inline constexpr db::Query kAddListId{"registry.add_list_id", "INSERT INTO device_list_ids (list, device) VALUES (?1, ?2)"};
inline constexpr db::Query kGiveUpList{"registry.give_up_list", "UPDATE device_lists SET made_at = 0 WHERE list = ?1"};
inline constexpr db::Query kAddGroup{"registry.add_group",
                                     "INSERT INTO device_groups (name, selector, list, devices, digest, changed_at, created_at, created_by) "
                                     "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)"};
inline constexpr db::Query kChangeGroup{
    "registry.change_group",
    "UPDATE device_groups SET selector = ?2, list = ?3, devices = ?4, digest = ?5, changed_at = ?6, revision = revision + 1 WHERE name = ?1"};
inline constexpr db::Query kDeleteGroup{"registry.delete_group", "DELETE FROM device_groups WHERE name = ?1"};
/// What may name a group: kind, name, selector. Of rollouts that ended, those whose word still counts: no later one of all devices stands before them.
inline constexpr db::Query kGroupUses{
    "registry.group_uses",
    "SELECT 'group', name, selector FROM device_groups WHERE selector LIKE '%group%' UNION ALL "
    "SELECT 'token', name, selector FROM tokens WHERE selector LIKE '%group%' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1) UNION ALL "
    "SELECT 'standing policy', model || '@' || alias, selector FROM model_standing WHERE selector LIKE '%group%' UNION ALL "
    "SELECT 'role', name, selector FROM bound_roles WHERE selector LIKE '%group%' UNION ALL "
    "SELECT 'device token', id, within FROM device_tokens WHERE within LIKE '%group%' AND revoked_at IS NULL AND used_at IS NULL AND expires_at > ?1 UNION ALL "
    "SELECT 'rollout', r.id, r.selector FROM rollouts r WHERE r.selector LIKE '%group%' AND (r.state NOT IN ('completed', 'aborted', 'rolled_back') OR "
    "(r.started_at IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM rollouts o WHERE o.model = r.model AND o.selector = '' AND o.state = 'completed' AND o.moment > r.moment)))"};
inline constexpr db::Query kListToForget{
    "registry.list_to_forget",
    "SELECT l.list FROM device_lists l WHERE l.made_at <= ?1 AND NOT EXISTS (SELECT 1 FROM device_groups g WHERE g.list = l.list) ORDER BY l.list LIMIT 1"};
inline constexpr db::Query kForgetListIds{
    "registry.forget_list_ids",
    "DELETE FROM device_list_ids WHERE list = ?1 AND device IN (SELECT device FROM device_list_ids WHERE list = ?1 ORDER BY device LIMIT ?2)"};
inline constexpr db::Query kForgetList{"registry.forget_list", "DELETE FROM device_lists WHERE list = ?1"};

inline constexpr auto kAll = std::to_array<db::Query>({kGroup,
                                                       kGroups,
                                                       kCountGroups,
                                                       kListsOf,
                                                       kIdsOfList,
                                                       kCountUnknown,
                                                       kAddList,
                                                       kAddListId,
                                                       kGiveUpList,
                                                       kAddGroup,
                                                       kChangeGroup,
                                                       kDeleteGroup,
                                                       kGroupUses,
                                                       kListToForget,
                                                       kForgetListIds,
                                                       kForgetList,
                                                       kScanListed,
                                                       kVersionKnown,
                                                       kLatestVersion,
                                                       kAliases,
                                                       kDevicesByState,
                                                       kDeviceById,
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
                                                       kSetWrapKey,
                                                       kSetPendingWrapKey,
                                                       kAdoptWrapKey,
                                                       kForgetModels,
                                                       kForgetTiers,
                                                       kQuotas,
                                                       kFactsOfMany,
                                                       kRunningOfMany,
                                                       kListsOfMany,
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
                                                       kNewestRoot,
                                                       kOriginKnown});

}  // namespace fleet::registry::queries
