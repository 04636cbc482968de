#pragma once

#include "server/store/db/db.hpp"

#include <array>

/// Every SQL text of this folder.
namespace fleet::rollout::queries {

using db::Query;

/// A set with a revoked member counts as revoked: `l` is its release.
#define FLEET_RELEASE_STATE                                                                                                                   \
  "CASE WHEN EXISTS (SELECT 1 FROM release_members sm JOIN releases sr ON sr.n = sm.member WHERE sm.release = l.n AND sr.state = 'revoked') " \
  "THEN 'revoked' ELSE l.state END"

// planning ------------------------------------------------------------------------------------------------------------------
inline constexpr Query kFindRelease{"rollout_find_release", "SELECT l.n, " FLEET_RELEASE_STATE ", l.document FROM releases l WHERE l.model = ? AND l.version = ?"};
inline constexpr Query kCountOfModel{"rollout_count_of_model", "SELECT count(*) FROM rollouts WHERE model = ?"};
inline constexpr Query kRunningVersion{"rollout_running_version", "SELECT running FROM device_models WHERE device = ? AND model = ?"};
inline constexpr Query kMemberVersions{"rollout_member_versions", "SELECT r.model, r.version FROM release_members m JOIN releases r ON r.n = m.member WHERE m.release = ?"};
inline constexpr Query kGaps{"rollout_gaps",
                             "SELECT max(poll_every_s), CAST(sum(poll_every_s) AS BIGINT) / count(*), max(report_every_s), CAST(sum(report_every_s) AS BIGINT) / count(*) FROM contacts"};
inline constexpr Query kCountRunning{"rollout_count_running", "SELECT coalesce(sum(devices), 0) FROM running_counts WHERE model = ?"};
inline constexpr Query kReportedOf{"rollout_reported_of", "SELECT reported FROM devices WHERE n = ?"};
// An empty model is all of them.
inline constexpr Query kMetricsSent{"rollout_metrics_sent", "SELECT DISTINCT metric FROM metric_names WHERE ?1 = '' OR model = ?1"};
inline constexpr Query kLiveOfModel{
    "rollout_live_of_model",
    "SELECT id, state, selector, model FROM rollouts WHERE model = ? AND state IN ('awaiting_approval', 'running', 'paused', 'rolling_back') ORDER BY n"};

/// The same, of rollouts of sets that have a member of the model.
inline constexpr Query kLiveSetsWith{"rollout_live_sets_with",
                                     "SELECT id, state, selector, model FROM rollouts WHERE state IN ('awaiting_approval', 'running', 'paused', 'rolling_back') AND EXISTS "
                                     "(SELECT 1 FROM release_members m WHERE m.release = rollouts.release AND m.model = ?) ORDER BY n"};
inline constexpr Query kMemberModels{"rollout_member_models",
                                     "SELECT m.model FROM releases l JOIN release_members m ON m.release = l.n WHERE l.model = ? AND l.version = ? ORDER BY m.position"};
inline constexpr Query kMembers{"rollout_members",
                                "SELECT l.model, l.version, l.digest, octet_length(l.document), m.comes_after FROM release_members m JOIN releases l ON l.n = m.member "
                                "WHERE m.release = ? ORDER BY m.position"};
inline constexpr Query kMemberDocuments{"rollout_member_documents",
                                        "SELECT l.document FROM release_members m JOIN releases l ON l.n = m.member WHERE m.release = ? ORDER BY m.position"};
inline constexpr Query kRevokedOf{"rollout_revoked_of", "SELECT digest FROM releases WHERE model = ? AND state = 'revoked' ORDER BY n DESC LIMIT 16"};

// one rollout ---------------------------------------------------------------------------------------------------------------
#define FLEET_ROLLOUT_COLUMNS                                                                                                   \
  "r.n, r.id, r.model, r.version, r.release, r.selector, r.policy, r.salt, r.state, r.stage, r.stage_state, r.stage_since, "    \
  "r.bake_since, r.deadline, r.widened_full, r.attempt, r.after_n, r.supersedes_n, r.started_at, r.completed_at, r.verdict, "   \
  "r.latched, r.reason, r.created_by, r.created_at, r.revision, " FLEET_RELEASE_STATE ", l.digest, octet_length(l.document), r.moment, " \
  "r.restored, r.progress, r.follows, b.n, b.version, b.state, b.digest, octet_length(b.document) "                                 \
  "FROM rollouts r JOIN releases l ON l.n = r.release LEFT JOIN releases b ON b.n = r.against "
inline constexpr Query kGetRollout{"rollout_get", "SELECT " FLEET_ROLLOUT_COLUMNS "WHERE r.id = ?"};
inline constexpr Query kGetRolloutN{"rollout_get_n", "SELECT " FLEET_ROLLOUT_COLUMNS "WHERE r.n = ?"};
inline constexpr Query kListRollouts{
    "rollout_list", "SELECT " FLEET_ROLLOUT_COLUMNS "WHERE r.n < ?1 AND (?2 = '' OR r.model = ?2) AND (?3 = '' OR r.state = ?3) ORDER BY r.n DESC LIMIT ?4"};
/// Those that have a say. Of those that ended, the newest few of a selector: a device that failed one falls back to the one before. As many of those that
/// completed, so that others, however many ended since, push none of them out. And whatever is not taken back yet.
inline constexpr Query kStartedRollouts{
    "rollout_started",
    "SELECT r.n, r.revision, " FLEET_RELEASE_STATE ", coalesce(g.state, '') FROM rollouts r JOIN releases l ON l.n = r.release LEFT JOIN releases g ON g.n = r.against "
    "WHERE r.started_at IS NOT NULL AND r.n IN ("
    "SELECT n FROM rollouts INDEXED BY rollouts_live WHERE state IN ('awaiting_approval', 'running', 'paused', 'rolling_back') UNION "
    "SELECT n FROM (SELECT n, state, row_number() OVER (PARTITION BY model, selector ORDER BY moment DESC) AS age, "
    "sum(CASE WHEN state = 'completed' THEN 1 ELSE 0 END) OVER (PARTITION BY model, selector ORDER BY moment DESC) AS completed FROM rollouts INDEXED BY rollouts_ended "
    "WHERE started_at IS NOT NULL AND state IN ('completed', 'aborted', 'rolled_back')) AS ended WHERE age <= 8 OR (state = 'completed' AND completed <= 8) UNION "
    "SELECT b.n FROM rollouts b INDEXED BY rollouts_rolled_back WHERE b.state = 'rolled_back' AND EXISTS "
    "(SELECT 1 FROM rollout_counts c WHERE c.rollout = b.n AND c.exposed = 1 AND c.state <> 'reverted' AND c.devices > 0) AND EXISTS "
    "(SELECT 1 FROM rollout_devices d WHERE d.rollout = b.n AND d.exposed = 1 AND d.state <> 'reverted' AND d.gone IS NULL)) ORDER BY r.n"};
/// What the judge looks at each time: cheap, whatever ended before.
inline constexpr Query kJudged{"rollout_judged_now",
                               "SELECT r.n, r.revision, " FLEET_RELEASE_STATE ", coalesce(b.state, '') FROM rollouts r JOIN releases l ON l.n = r.release LEFT JOIN releases b ON b.n = r.against "
                               "WHERE r.state IN ('awaiting_approval', 'running', 'paused', 'rolling_back') AND (r.stage > 0 OR r.state = 'rolling_back') ORDER BY r.n"};
inline constexpr Query kEverStarted{"rollout_ever_started", "SELECT " FLEET_ROLLOUT_COLUMNS "WHERE r.started_at IS NOT NULL ORDER BY r.n"};
#undef FLEET_ROLLOUT_COLUMNS
inline constexpr Query kReleaseHardware{"rollout_release_document", "SELECT document FROM releases WHERE n = ?"};
inline constexpr Query kInsertRollout{
    "rollout_insert",
    "INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, after_n, supersedes_n, verdict, reason, created_by, created_at, preset, follows, against) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'draft', ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
inline constexpr Query kUpdateRollout{
    "rollout_update",
    "UPDATE rollouts SET state = ?, stage = ?, stage_state = ?, stage_since = ?, bake_since = ?, deadline = ?, widened_full = ?, attempt = ?, "
    "started_at = ?, completed_at = ?, moment = ?, verdict = ?, latched = ?, reason = ?, restored = ?, progress = ?, revision = revision + 1 "
    "WHERE n = ?"};
inline constexpr Query kLiveFollowers{
    "rollout_live_followers",
    "SELECT id, stage FROM rollouts WHERE model = ? AND follows = ? AND state IN ('awaiting_approval', 'running', 'paused', 'rolling_back') ORDER BY n"};
inline constexpr Query kNextMoment{"rollout_next_moment", "SELECT coalesce(max(moment), 0) + 1 FROM rollouts"};
inline constexpr Query kPutLadder{"rollout_put_ladder",
                                  "INSERT INTO rollout_ladders (rollout, ladder, fleet) VALUES (?, ?, ?) "
                                  "ON CONFLICT (rollout) DO UPDATE SET ladder = excluded.ladder, fleet = excluded.fleet"};
inline constexpr Query kFleetChanges{"rollout_fleet_changes", "SELECT n FROM fleet_changes WHERE one = 1"};
inline constexpr Query kPlannedOver{"rollout_planned_over",
                                    "SELECT l.fleet, r.preset, r.salt FROM rollouts r JOIN rollout_ladders l ON l.rollout = r.n WHERE r.n = ?"};
inline constexpr Query kSetPolicy{"rollout_set_policy", "UPDATE rollouts SET policy = ? WHERE n = ?"};
inline constexpr Query kLadder{"rollout_ladder_of", "SELECT ladder FROM rollout_ladders WHERE rollout = ?"};
inline constexpr Query kApprove{"rollout_approve",
                                "INSERT INTO rollout_approvals (rollout, stage, actor, reason, approved_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"};
inline constexpr Query kApprovals{"rollout_approvals_of", "SELECT count(*) FROM rollout_approvals WHERE rollout = ? AND stage = ?"};

// devices of a rollout ------------------------------------------------------------------------------------------------------
inline constexpr Query kRowsOfDevice{
    "rollout_rows_of_device",
    "SELECT rollout, state, exposed, from_version, from_digest, attempt, error, arm, stage, again_s FROM rollout_devices INDEXED BY rollout_devices_of "
    "WHERE device = ? AND rollout >= ?"};
inline constexpr Query kRow{"rollout_row", "SELECT state, exposed, attempt, kind, arm, in_window, outcome, tries FROM rollout_devices WHERE rollout = ? AND device = ?"};
inline constexpr Query kInsertRow{"rollout_insert_row",
                                  "INSERT INTO rollout_devices (rollout, device, stage, stratum, state, outcome, exposed, from_version, from_digest, attempt, "
                                  "dispatched_at, since, silent_at, arm, in_window, kind, told_s, started_s) "
                                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14, ?15, ?16, ?16) "
                                  "ON CONFLICT (rollout, device) DO UPDATE SET stage = excluded.stage, stratum = excluded.stratum, state = excluded.state, outcome = excluded.outcome, "
                                  "exposed = excluded.exposed, from_version = excluded.from_version, from_digest = excluded.from_digest, attempt = excluded.attempt, "
                                  "dispatched_at = excluded.dispatched_at, since = excluded.since, silent_at = excluded.silent_at, arm = excluded.arm, "
                                  "in_window = excluded.in_window, kind = excluded.kind, told_s = excluded.told_s, started_s = excluded.started_s, error = NULL, code = '', tries = 1, again_s = NULL"};
// Who failed has returned by itself: what it is told now, it has not switched to yet.
inline constexpr Query kAgainRow{
    "rollout_again_row",
    "UPDATE rollout_devices SET exposed = CASE WHEN state = 'failed' THEN 0 ELSE exposed END, state = 'dispatched', outcome = NULL, attempt = ?1, stage = ?2, dispatched_at = ?3, since = ?3, silent_at = ?4, told_s = ?5, "
    "started_s = 0, in_window = 0, kind = '', code = '', error = NULL, tries = 1, again_s = NULL WHERE rollout = ?6 AND device = ?7"};
/// Once more: what the device came to at first, its window and its cause stand.
inline constexpr Query kOnceMoreRow{"rollout_once_more_row",
                                    "UPDATE rollout_devices SET exposed = CASE WHEN state = 'failed' THEN 0 ELSE exposed END, state = 'dispatched', attempt = ?1, tries = CASE WHEN state = 'failed' THEN tries + 1 ELSE tries END, again_s = NULL, dispatched_at = ?2, since = ?2, "
                                    "silent_at = ?3, told_s = ?4, started_s = ?4 WHERE rollout = ?5 AND device = ?6"};
inline constexpr Query kMoveRow{"rollout_move_row",
                                "UPDATE rollout_devices SET since = CASE WHEN state = ?1 THEN since ELSE ?5 END, started_s = CASE WHEN in_window = 0 AND ?9 <> 0 THEN ?6 ELSE started_s END, "
                                "state = ?1, outcome = coalesce(?2, outcome), exposed = CASE WHEN ?3 <> 0 THEN 1 ELSE exposed END, "
                                "kind = CASE WHEN kind = '' THEN ?4 ELSE kind END, error = coalesce(?7, error), code = CASE WHEN ?8 <> '' THEN ?8 ELSE code END, "
                                "in_window = CASE WHEN in_window = 0 THEN ?9 ELSE in_window END, silent_at = ?10, again_s = coalesce(?13, again_s) WHERE rollout = ?11 AND device = ?12"};
inline constexpr Query kSetRowState{"rollout_set_row_state",
                                    "UPDATE rollout_devices SET state = ?, outcome = coalesce(?, outcome), since = ? WHERE rollout = ? AND device = ?"};
/// Rows without an outcome of a device that an operator moves out of the fleet or of a selector.
inline constexpr Query kOpenRowsOf{
    "rollout_open_rows_of",
    "SELECT x.rollout, x.state, x.exposed, x.from_version, r.model, r.selector FROM rollout_devices x INDEXED BY rollout_devices_of "
    "JOIN rollouts r ON r.n = x.rollout WHERE x.device = ? AND x.state IN ('dispatched', 'downloading', 'waiting', 'testing', 'probation', 'reverting') "
    "AND r.state IN ('awaiting_approval', 'running', 'paused', 'rolling_back')"};
inline constexpr Query kNameGone{"rollout_name_gone", "UPDATE rollout_devices SET gone = ?2 WHERE device = ?1"};
// What devices measure.
inline constexpr Query kDropSamples{"rollout_drop_samples", "DELETE FROM rollout_samples WHERE rollout = ? AND device = ?"};
inline constexpr Query kSamplesRow{"rollout_samples_row", "SELECT samples, class, summary FROM rollout_samples WHERE rollout = ? AND metric = ? AND device = ?"};
inline constexpr Query kPutSamples{"rollout_put_samples",
                                   "INSERT INTO rollout_samples (rollout, metric, device, arm, samples, class, healthy, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                                   "ON CONFLICT (rollout, metric, device) DO UPDATE SET arm = excluded.arm, samples = excluded.samples, class = excluded.class, "
                                   "healthy = excluded.healthy, summary = excluded.summary"};
inline constexpr Query kDropSummaries{"rollout_drop_summaries", "UPDATE rollout_samples SET summary = '' WHERE rollout = ? AND device = ?"};
/// Of a control: its period before, from now on.
inline constexpr Query kKeepBefore{"rollout_keep_before",
                                   "INSERT INTO rollout_before (rollout, metric, device, summary) SELECT rollout, metric, device, summary FROM rollout_samples INDEXED BY rollout_samples_of "
                                   "WHERE rollout = ? AND device = ? AND arm <> 'canary' AND summary <> '' "
                                   "ON CONFLICT (rollout, metric, device) DO UPDATE SET summary = excluded.summary"};
inline constexpr Query kSetSamplesHealthy{"rollout_set_samples_healthy", "UPDATE rollout_samples SET healthy = ?3 WHERE rollout = ?1 AND device = ?2 AND arm = 'canary'"};
inline constexpr Query kMeasuring{"rollout_measuring", "SELECT state, outcome, exposed, arm, in_window, from_digest FROM rollout_devices WHERE rollout = ? AND device = ?"};
inline constexpr Query kRunningDigest{"rollout_running_digest", "SELECT running, running_digest FROM device_models WHERE device = ? AND model = ?"};
/// A device within reach of an order: still one of the fleet, and how often it polls.
inline constexpr Query kPollEvery{"rollout_poll_every",
                                  "SELECT c.poll_every_s FROM devices d LEFT JOIN contacts c ON c.device = d.n WHERE d.n = ? AND d.state = 'active'"};
inline constexpr Query kReportEvery{"rollout_report_every", "SELECT seen_at, poll_every_s, report_every_s FROM contacts WHERE device = ?"};
inline constexpr Query kHeard{"rollout_heard", "SELECT heard_s FROM contacts WHERE device = ?"};
inline constexpr Query kReleaseTarget{"rollout_release_target",
                                      "SELECT l.digest, octet_length(l.document), " FLEET_RELEASE_STATE ", l.n FROM releases l WHERE l.model = ? AND l.version = ?"};
// The end of a rollout reaches its rows piece by piece: ?1 the rollout, devices above ?2 and up to ?3.
inline constexpr Query kPieceOfRows{"rollout_piece_of_rows",
                                    "SELECT max(device), count(*) FROM (SELECT device FROM rollout_devices WHERE rollout = ?1 AND device > ?2 ORDER BY device "
                                    "LIMIT ?3) AS piece"};
inline constexpr Query kDropUnswitched{"rollout_drop_unswitched",
                                       "UPDATE rollout_devices SET state = 'dropped', since = ?4 WHERE rollout = ?1 AND device > ?2 AND device <= ?3 "
                                       "AND exposed = 0 AND state IN ('dispatched', 'downloading', 'waiting', 'testing', 'probation', 'silent')"};
inline constexpr Query kCountReturned{
    "rollout_count_returned",
    "UPDATE rollout_devices SET state = 'reverted', since = ?4 WHERE rollout = ?1 AND device > ?2 AND device <= ?3 AND exposed = 1 "
    "AND state NOT IN ('reverting', 'reverted', 'left') AND arm = ?7 "
    "AND EXISTS (SELECT 1 FROM device_models m WHERE m.device = rollout_devices.device AND m.model = ?5 AND m.running IS DISTINCT FROM ?6)"};
/// Who ran the release (?5 of digest ?6) when it was told has nothing to return to.
inline constexpr Query kCountRanBefore{
    "rollout_count_ran_before",
    "UPDATE rollout_devices SET state = 'reverted', since = ?4 WHERE rollout = ?1 AND device > ?2 AND device <= ?3 AND state NOT IN ('reverted', 'left') AND arm = ?7 "
    "AND from_version = ?5 AND (from_digest IS NULL OR from_digest = ?6)"};
inline constexpr Query kSetSettled{"rollout_set_settled", "UPDATE rollouts SET settled_to = ?2 WHERE n = ?1"};
inline constexpr Query kUnsettled{"rollout_unsettled", "SELECT n, settled_to FROM rollouts WHERE settled_to IS NOT NULL ORDER BY n"};
inline constexpr Query kSettledTo{"rollout_settled_to", "SELECT settled_to FROM rollouts WHERE n = ?1"};
inline constexpr Query kRetryDevice{
    "rollout_retry_device",
    "UPDATE rollout_devices SET again_s = 0 WHERE rollout = ?1 AND device = ?2 AND arm IN ('canary', 'against') AND state IN ('failed', 'ineligible') AND coalesce(again_s, 1) <> 0"};
inline constexpr Query kUnholdRow{
    "rollout_unhold_row",
    "UPDATE rollout_devices SET again_s = CASE WHEN state = 'failed' THEN 0 ELSE again_s END, attempt = CASE WHEN state = 'failed' THEN attempt ELSE attempt + 1 END, "
    "since = ?3, silent_at = ?4, told_s = ?6 "
    "WHERE rollout = ?1 AND device = ?2 AND arm IN ('canary', 'against') AND ((state = 'failed' AND coalesce(again_s, 1) <> 0) OR EXISTS (SELECT 1 FROM device_models m WHERE m.device = ?2 AND m.model = ?5 "
    "AND m.waiting = 'held' AND m.attempt >= rollout_devices.attempt))"};
inline constexpr Query kUnholdModels{
    "rollout_unhold_models",
    "SELECT r.model, max(r.n) FROM rollout_devices d JOIN rollouts r ON r.n = d.rollout WHERE d.device = ?1 AND (?2 = '' OR r.model = ?2) "
    "AND r.state IN ('running', 'paused', 'awaiting_approval', 'completed') GROUP BY r.model"};
inline constexpr Query kCountFailed{"rollout_count_failed", "SELECT count(*), max(attempt) FROM rollout_devices INDEXED BY rollout_devices_outcome WHERE rollout = ? AND outcome = 'failed' AND state = 'failed' AND arm IN ('canary', 'against') AND attempt >= ?"};
inline constexpr Query kFindDevice{"rollout_find_device", "SELECT n, labels, hardware, state FROM devices WHERE id = ?"};
inline constexpr Query kRaiseDeviceEpoch{"rollout_raise_device_epoch", "UPDATE devices SET epoch = epoch + 1 WHERE n = ?"};

// places of limits.per -------------------------------------------------------------------------------------------------------
inline constexpr Query kPlacesBeside{"rollout_places_beside",
                                     "SELECT count(DISTINCT device) FROM rollout_places INDEXED BY rollout_places_of WHERE label = ? AND value = ? AND device <> ?"};
inline constexpr Query kPlacesOf{"rollout_places_held",
                                 "SELECT p.model, r.id, p.attempt, p.label, p.value FROM rollout_places p JOIN rollouts r ON r.n = p.rollout WHERE p.device = ?"};
inline constexpr Query kTakePlace{"rollout_take_place",
                                  "INSERT INTO rollout_places (device, model, rollout, attempt, label, value, left_s, look_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                                  "ON CONFLICT (device, model) DO UPDATE SET rollout = excluded.rollout, attempt = excluded.attempt, label = excluded.label, "
                                  "value = excluded.value, left_s = excluded.left_s, look_s = excluded.look_s"};
inline constexpr Query kFreePlace{"rollout_free_place", "DELETE FROM rollout_places WHERE device = ? AND model = ?"};
inline constexpr Query kDropPlaces{"rollout_drop_places", "DELETE FROM rollout_places WHERE device = ?"};
inline constexpr Query kMovePlace{"rollout_move_place", "UPDATE rollout_places SET value = ? WHERE device = ? AND model = ?"};
inline constexpr Query kPlacesDue{"rollout_places_due",
                                  "SELECT p.device, p.rollout, p.model, p.label, p.value, p.left_s, x.state FROM rollout_places p INDEXED BY rollout_places_look "
                                  "LEFT JOIN rollout_devices x ON x.rollout = p.rollout AND x.device = p.device WHERE p.look_s <= ?1 ORDER BY p.look_s LIMIT ?2"};
inline constexpr Query kLookPlace{"rollout_look_place", "UPDATE rollout_places SET look_s = ? WHERE device = ? AND model = ?"};

// after a restore -----------------------------------------------------------------------------------------------------------
inline constexpr Query kSetRestoredAt{
    "rollout_set_restored_at", "INSERT INTO settings (name, value) VALUES ('restored_at', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};
inline constexpr Query kRestoredAt{"rollout_restored_at", "SELECT value FROM settings WHERE name = 'restored_at'"};
// Of those that ended, one that a later one of the same selector stands before says nothing any more.
inline constexpr Query kHeldRollouts{
    "rollout_held",
    "SELECT r.id, r.model, r.version, r.state FROM rollouts r WHERE r.restored = 1 AND (r.state NOT IN ('completed', 'aborted', 'rolled_back') OR NOT EXISTS "
    "(SELECT 1 FROM rollouts o WHERE o.model = r.model AND o.selector = r.selector AND o.state = 'completed' AND o.moment > r.moment)) ORDER BY r.n DESC LIMIT ?"};
inline constexpr Query kUnknownRunning{
    "rollout_unknown_running",
    "SELECT m.model, coalesce(m.running, ''), m.running_digest, count(*), min(d.id) FROM device_models m JOIN devices d ON d.n = m.device "
    "LEFT JOIN releases l ON l.model = m.model AND l.digest = m.running_digest WHERE m.running_digest IS NOT NULL AND l.n IS NULL "
    "GROUP BY m.model, m.running, m.running_digest ORDER BY m.model, m.running LIMIT ?"};
inline constexpr Query kUnknownRollouts{
    "rollout_unknown_rollouts",
    "SELECT m.rollout, count(*), min(d.id) FROM device_models m JOIN devices d ON d.n = m.device LEFT JOIN rollouts r ON r.id = m.rollout "
    "WHERE m.rollout IS NOT NULL AND r.n IS NULL GROUP BY m.rollout ORDER BY m.rollout LIMIT ?"};

// judging -------------------------------------------------------------------------------------------------------------------
inline constexpr Query kCountsOf{"rollout_counts_of",
                                 "SELECT stratum, arm, in_window, state, outcome, exposed, kind, devices, attempt FROM rollout_counts WHERE rollout = ? AND devices > 0"};
inline constexpr Query kCodes{"rollout_codes",
                              "SELECT code, devices FROM rollout_failure_counts WHERE rollout = ? AND devices > 0"};
inline constexpr Query kBusy{"rollout_busy",
                             "SELECT d.id, x.state FROM rollout_devices x INDEXED BY rollout_devices_quiet JOIN devices d ON d.n = x.device WHERE x.rollout = ?1 "
                             "AND x.state IN ('dispatched', 'downloading', 'waiting', 'testing', 'probation') LIMIT ?2"};
inline constexpr Query kQuiet{"rollout_quiet",
                              "SELECT device, state, in_window, told_s, started_s FROM rollout_devices INDEXED BY rollout_devices_quiet WHERE rollout = ?1 AND silent_at <= ?2 "
                              "AND state IN ('dispatched', 'downloading', 'waiting', 'testing', 'probation') ORDER BY silent_at LIMIT ?3"};
inline constexpr Query kQuietNever{"rollout_quiet_never",
                                   "SELECT device, state, in_window, told_s, started_s FROM rollout_devices INDEXED BY rollout_devices_quiet WHERE rollout = ?1 AND silent_at = ?2 "
                                   "AND state IN ('dispatched', 'downloading', 'waiting', 'testing', 'probation') LIMIT ?3"};
/// Exposed devices that have not returned, from the device ?2 on; not of the arm ?4, which keeps what it has.
inline constexpr Query kToReturn{"rollout_to_return",
                                 "SELECT device FROM rollout_devices WHERE rollout = ?1 AND device > ?2 AND exposed = 1 AND state NOT IN ('reverted', 'left') AND arm <> ?4 "
                                 "ORDER BY device LIMIT ?3"};
inline constexpr Query kTold{"rollout_told", "SELECT device, arm, attempt, state FROM rollout_devices WHERE rollout = ? ORDER BY device"};
inline constexpr Query kMetricCounts{"rollout_metric_counts_of",
                                     "SELECT metric, arm, class, healthy, devices FROM rollout_metric_counts WHERE rollout = ? AND devices > 0"};
/// What the healthy members of a window measured, by device: once a window, where gates ask for it.
inline constexpr Query kSummaries{"rollout_summaries",
                                  "SELECT x.stratum, x.arm, s.summary, b.summary FROM rollout_samples s JOIN rollout_devices x ON x.rollout = s.rollout AND x.device = s.device "
                                  "LEFT JOIN rollout_before b ON b.rollout = s.rollout AND b.metric = s.metric AND b.device = s.device "
                                  "WHERE s.rollout = ?1 AND s.metric = ?2 AND x.in_window = ?3 AND x.outcome = 'healthy' AND s.summary <> '' ORDER BY s.device"};
inline constexpr Query kWaitsFor{"rollout_waits_for", "SELECT waiting FROM device_models WHERE device = ? AND model = ?"};
/// Of a row that is as it was read: a report may have moved it meanwhile.
inline constexpr Query kSetQuiet{"rollout_set_quiet",
                                 "UPDATE rollout_devices SET state = ?1, outcome = coalesce(outcome, ?2), since = ?3 WHERE rollout = ?4 AND device = ?5 AND state = ?6 AND told_s = ?7"};
inline constexpr Query kSetSilentAt{"rollout_set_silent_at", "UPDATE rollout_devices SET silent_at = ?1 WHERE rollout = ?2 AND device = ?3 AND told_s = ?4"};
inline constexpr Query kServiceTime{"rollout_service_time", "SELECT value FROM settings WHERE name = 'service_ms'"};
inline constexpr Query kSetServiceTime{"rollout_set_service_time",
                                       "INSERT INTO settings (name, value) VALUES ('service_ms', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};

// what the fleet did of late ------------------------------------------------------------------------------------------------
inline constexpr Query kWhoIsAway{"rollout_who_is_away",
                                  "SELECT count(*), coalesce(sum(CASE WHEN c.seen_at < ?1 - 3000 * c.poll_every_s THEN 1 ELSE 0 END), 0) FROM contacts c "
                                  "JOIN devices d ON d.n = c.device WHERE d.state = 'active'"};
inline constexpr Query kHasLooked{"rollout_has_looked", "SELECT 1 FROM presence WHERE hour = ?1"};
inline constexpr Query kKeepHour{"rollout_keep_hour",
                                 "INSERT INTO presence (hour, devices, away, returned) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hour) DO NOTHING"};
inline constexpr Query kForgetHours{"rollout_forget_hours", "DELETE FROM presence WHERE hour < ?1"};
inline constexpr Query kPastHours{"rollout_past_hours", "SELECT hour, devices, away, returned FROM presence WHERE hour >= ?1 ORDER BY hour"};
inline constexpr Query kLastHour{"rollout_last_hour", "SELECT hour, devices, away, returned FROM presence ORDER BY hour DESC LIMIT 1"};
/// Controls tell how often devices fail whatever they run; canaries do where the release was not bad.
inline constexpr Query kPastAttempts{"rollout_past_attempts",
                                     "SELECT coalesce(sum(c.devices), 0), coalesce(sum(CASE WHEN c.outcome = 'failed' THEN c.devices ELSE 0 END), 0) FROM rollouts r "
                                     "JOIN rollout_counts c ON c.rollout = r.n WHERE r.created_at >= ?1 AND c.kind = '' AND c.outcome IN ('healthy', 'failed') "
                                     "AND (c.arm = 'control' OR r.state = 'completed')"};
inline constexpr Query kFleetNow{"rollout_fleet_now",
                                 "SELECT count(*), coalesce(CAST(sum(c.poll_every_s) AS BIGINT) / count(*), 0) FROM contacts c JOIN devices d ON d.n = c.device WHERE d.state = 'active'"};

// showing -------------------------------------------------------------------------------------------------------------------
inline constexpr Query kAddPoint{"rollout_add_point", "INSERT INTO rollout_series (rollout, time, point) VALUES (?, ?, ?) ON CONFLICT (rollout, time) DO UPDATE SET point = excluded.point"};
/// The newest ?1 that are live. Their times are those that people read.
#define FLEET_NEWEST_LIVE \
  "FROM rollouts INDEXED BY rollouts_live WHERE state IN ('awaiting_approval', 'running', 'paused', 'rolling_back') ORDER BY n DESC LIMIT ?1"
inline constexpr Query kLive{"rollout_live", "SELECT n, id, model, version, state, stage, stage_since, deadline, verdict " FLEET_NEWEST_LIVE};
/// As many rows as the judge reads of them at each look. The order of the join is SQLite's to keep: by rollouts first.
inline constexpr Query kLiveCounts{"rollout_live_counts",
                                   "SELECT c.rollout, c.state, c.outcome, sum(c.devices) FROM (SELECT n " FLEET_NEWEST_LIVE ") AS live CROSS JOIN rollout_counts c "
                                   "WHERE c.rollout = live.n AND c.devices > 0 AND c.arm IN ('canary', 'standing') GROUP BY c.rollout, c.state, c.outcome"};
#undef FLEET_NEWEST_LIVE
inline constexpr Query kByState{"rollout_by_state", "SELECT state, count(*) FROM rollouts GROUP BY state"};
inline constexpr Query kPoints{"rollout_points", "SELECT time, point FROM rollout_series WHERE rollout = ? ORDER BY time"};
inline constexpr Query kCounts{"rollout_counts",
                               "SELECT state, nullif(outcome, ''), exposed, sum(devices), CASE WHEN arm IN ('canary', 'standing') THEN 0 ELSE 1 END AS beside FROM rollout_counts "
                               "WHERE rollout = ? AND devices > 0 GROUP BY state, outcome, exposed, beside"};
inline constexpr Query kStrataCounts{"rollout_strata_counts",
                                     "SELECT stratum, state, nullif(outcome, ''), exposed, sum(devices) FROM rollout_counts WHERE rollout = ? AND devices > 0 AND arm IN ('canary', 'standing') "
                                     "GROUP BY stratum, state, outcome, exposed ORDER BY stratum, state, outcome, exposed"};
#define FLEET_LISTED_DEVICE \
  "SELECT coalesce(d.id, x.gone), x.stage, x.state, x.from_version, x.attempt, x.since, x.error, x.device, x.outcome, x.arm FROM rollout_devices x "
inline constexpr Query kListDevices{
    "rollout_list_devices",
    FLEET_LISTED_DEVICE "LEFT JOIN devices d ON d.n = x.device WHERE x.rollout = ?1 AND x.device > ?2 "
                        "AND (?3 = 0 OR CASE WHEN x.stage = -1 THEN ?5 ELSE x.stage END = ?3) ORDER BY x.device LIMIT ?4"};
/// Devices from ?2 on of which `column` is ?6, by its index.
#define FLEET_PAGE_OF(column)                                                                                                                          \
  "SELECT device FROM (SELECT device FROM rollout_devices INDEXED BY rollout_devices_" column " WHERE rollout = ?1 AND " column " = ?6 AND device > ?2 " \
  "AND (?3 = 0 OR CASE WHEN stage = -1 THEN ?5 ELSE stage END = ?3) ORDER BY device LIMIT ?4) AS by_" column
/// The same of those that are in a state, or came to it as their outcome, whatever followed.
inline constexpr Query kListState{
    "rollout_list_state",
    FLEET_LISTED_DEVICE "JOIN (" FLEET_PAGE_OF("state") " UNION " FLEET_PAGE_OF("outcome") " ORDER BY device LIMIT ?4) AS page ON page.device = x.device "
                        "LEFT JOIN devices d ON d.n = x.device WHERE x.rollout = ?1 ORDER BY x.device LIMIT ?4"};
#undef FLEET_PAGE_OF
#undef FLEET_LISTED_DEVICE

/// For the test that prepares each on the newest schema.
inline constexpr auto kAll = std::to_array<Query>(
    {kFindRelease, kCountOfModel, kRunningVersion, kMemberVersions, kGaps, kCountRunning, kReportedOf, kMetricsSent, kLiveOfModel, kGetRollout, kGetRolloutN, kListRollouts,
     kStartedRollouts, kEverStarted, kReleaseHardware, kInsertRollout, kUpdateRollout, kNextMoment, kLiveFollowers, kPutLadder, kFleetChanges, kPlannedOver, kSetPolicy, kLadder, kJudged,
     kApprove, kApprovals, kRowsOfDevice, kRow, kInsertRow, kAgainRow, kOnceMoreRow, kMoveRow, kSetRowState, kOpenRowsOf, kNameGone, kDropSamples,
     kLiveSetsWith, kMemberModels, kMembers, kMemberDocuments, kRevokedOf,
     kSamplesRow, kPutSamples, kDropSummaries, kKeepBefore, kSetSamplesHealthy, kMeasuring, kRunningDigest, kPollEvery, kReportEvery, kHeard, kReleaseTarget, kPieceOfRows, kDropUnswitched, kCountReturned, kCountRanBefore, kSetSettled, kUnsettled, kSettledTo, kRetryDevice, kUnholdRow, kUnholdModels,
     kCountFailed, kFindDevice, kRaiseDeviceEpoch, kPlacesBeside, kPlacesOf, kTakePlace, kFreePlace, kDropPlaces, kMovePlace, kPlacesDue, kLookPlace, kSetRestoredAt, kRestoredAt, kHeldRollouts, kUnknownRunning, kUnknownRollouts, kCountsOf, kCodes, kBusy, kQuiet, kQuietNever, kToReturn, kTold, kMetricCounts, kSummaries, kServiceTime, kSetServiceTime,
     kWhoIsAway, kHasLooked, kKeepHour, kForgetHours, kPastHours, kLastHour, kPastAttempts, kFleetNow,
     kWaitsFor, kSetQuiet, kSetSilentAt, kAddPoint, kLive, kLiveCounts, kByState, kPoints, kCounts, kStrataCounts, kListDevices, kListState});

#undef FLEET_RELEASE_STATE

}  // namespace fleet::rollout::queries
