#pragma once

#include "server/store/sqlite/db.hpp"

#include <array>

namespace fleet::delivery {

inline constexpr db::Query kGetRecord{
    "delivery_get_record",
    "SELECT id, state, hardware, agent, boot_id, directive_sequence, directive_targets, not_after FROM devices WHERE n = ?1"};
inline constexpr db::Query kGetRecordModels{
    "delivery_get_record_models",
    "SELECT model, running, running_digest, state, rollout, attempt, waiting, to_fetch, variant, retest FROM device_models WHERE device = ?1 ORDER BY model"};
inline constexpr db::Query kSetAgent{"delivery_set_agent", "UPDATE devices SET agent = ?2, boot_id = ?3 WHERE n = ?1"};
inline constexpr db::Query kPutModelFromPoll{
    "delivery_put_model_from_poll",
    "INSERT INTO device_models (device, model, running, running_digest, state, rollout, attempt, waiting, since, to_fetch, variant, retest) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (device, model) DO UPDATE SET "
    "running = excluded.running, running_digest = excluded.running_digest, rollout = excluded.rollout, attempt = excluded.attempt, "
    "waiting = excluded.waiting, to_fetch = excluded.to_fetch, variant = excluded.variant, retest = excluded.retest, since = CASE WHEN state = excluded.state THEN since ELSE excluded.since END, state = excluded.state"};
inline constexpr db::Query kPutModelFromReport{
    "delivery_put_model_from_report",
    "INSERT INTO device_models (device, model, running, running_digest, version, state, rollout, attempt, error, since) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (device, model) DO UPDATE SET "
    "running = excluded.running, running_digest = excluded.running_digest, version = excluded.version, rollout = excluded.rollout, "
    "attempt = excluded.attempt, waiting = CASE WHEN state = excluded.state THEN waiting END, error = excluded.error, "
    "since = CASE WHEN state = excluded.state THEN since ELSE excluded.since END, state = excluded.state"};
inline constexpr db::Query kForgetModel{"delivery_forget_model", "DELETE FROM device_models WHERE device = ?1 AND model = ?2"};
inline constexpr db::Query kSetDirective{"delivery_set_directive", "UPDATE devices SET directive_sequence = ?2, directive_targets = ?3 WHERE n = ?1"};
inline constexpr db::Query kGetTiers{"delivery_get_tiers", "SELECT tier, acked FROM device_tiers WHERE device = ?1"};
inline constexpr db::Query kPutTier{"delivery_put_tier",
                                    "INSERT INTO device_tiers (device, tier, acked) VALUES (?1, ?2, ?3) "
                                    "ON CONFLICT (device, tier) DO UPDATE SET acked = excluded.acked"};
inline constexpr db::Query kKnowsModel{"delivery_knows_model", "SELECT 1 FROM models WHERE name = ?1"};
inline constexpr db::Query kNameRelease{
    "delivery_name_release", "INSERT INTO named_releases (device, release) SELECT ?1, n FROM releases WHERE digest = ?2 ON CONFLICT DO NOTHING"};
// A report is a contact, too: a device may report more often than it polls.
inline constexpr db::Query kTouchContact{"delivery_touch_contact", "UPDATE contacts SET seen_at = ?2 WHERE device = ?1 AND seen_at < ?2"};
inline constexpr db::Query kSetReported{"delivery_set_reported", "UPDATE devices SET reported = ?2, revision = revision + 1 WHERE n = ?1 AND reported <> ?2"};
inline constexpr db::Query kSuspectClone{"delivery_suspect_clone", "UPDATE devices SET clone_suspected_at = ?2, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kAddHistory{
    "delivery_add_history",
    "INSERT INTO device_history (device, time, received, model, version, state, rollout, attempt, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"};
// The newest ?2 of a device stay.
inline constexpr db::Query kTrimHistory{
    "delivery_trim_history",
    "DELETE FROM device_history WHERE device = ?1 AND id <= (SELECT id FROM device_history WHERE device = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)"};
inline constexpr db::Query kGetDirectiveRoot{"delivery_get_directive_root",
                                             "SELECT bytes FROM metadata WHERE repository = 'directive' AND role = 'root' AND version = ?1"};
inline constexpr db::Query kGetNumberSetting{"delivery_get_number_setting", "SELECT value FROM settings WHERE name = ?1"};

inline constexpr auto kQueries =
    std::to_array<db::Query>({kGetRecord, kGetRecordModels, kSetAgent, kPutModelFromPoll, kPutModelFromReport, kForgetModel, kSetDirective, kNameRelease, kGetTiers, kPutTier, kKnowsModel, kTrimHistory,
                              kTouchContact, kSetReported, kSuspectClone, kAddHistory, kGetDirectiveRoot, kGetNumberSetting});

}  // namespace fleet::delivery
