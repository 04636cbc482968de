#pragma once

#include "server/store/db/db.hpp"
#include "server/store/db/set.hpp"

#include <array>

namespace fleet::delivery {

inline constexpr db::Query kGetRecord{
    "delivery_get_record",
    "SELECT id, state, hardware, agent, boot_id, directive_sequence, directive_targets, not_after, reserved_sequence, directive_collect FROM devices WHERE n = ?1"};
inline constexpr db::Query kGetRecordModels{
    "delivery_get_record_models",
    "SELECT model, running, running_digest, state, rollout, attempt, waiting, to_fetch, variant, retest FROM device_models WHERE device = ?1 ORDER BY model"};
inline constexpr db::Query kSetAgent{"delivery_set_agent", "UPDATE devices SET agent = ?2, boot_id = ?3 WHERE n = ?1"};
inline constexpr db::Query kPutModelFromPoll{
    "delivery_put_model_from_poll",
    "INSERT INTO device_models (device, model, running, running_digest, state, rollout, attempt, waiting, since, to_fetch, variant, retest) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (device, model) DO UPDATE SET "
    "running = excluded.running, running_digest = excluded.running_digest, rollout = excluded.rollout, attempt = excluded.attempt, "
    "waiting = excluded.waiting, to_fetch = excluded.to_fetch, variant = excluded.variant, retest = excluded.retest, since = CASE WHEN device_models.state = excluded.state THEN device_models.since ELSE excluded.since END, state = excluded.state"};
inline constexpr db::Query kPutModelFromReport{
    "delivery_put_model_from_report",
    "INSERT INTO device_models (device, model, running, running_digest, version, state, rollout, attempt, error, since) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (device, model) DO UPDATE SET "
    "running = excluded.running, running_digest = excluded.running_digest, version = excluded.version, rollout = excluded.rollout, "
    "attempt = excluded.attempt, waiting = CASE WHEN device_models.state = excluded.state THEN device_models.waiting END, error = excluded.error, "
    "since = CASE WHEN device_models.state = excluded.state THEN device_models.since ELSE excluded.since END, state = excluded.state"};
inline constexpr db::Query kForgetModel{"delivery_forget_model", "DELETE FROM device_models WHERE device = ?1 AND model = ?2"};
inline constexpr db::Query kSetDirective{"delivery_set_directive", "UPDATE devices SET directive_sequence = ?2, directive_targets = ?3, directive_collect = ?4 WHERE n = ?1"};
inline constexpr db::Query kGetTiers{"delivery_get_tiers", "SELECT device, tier, acked FROM device_tiers WHERE device IN (" FLEET_SET ")"};
inline constexpr db::Query kPutTier{"delivery_put_tier",
                                    "INSERT INTO device_tiers (device, tier, acked) VALUES (?1, ?2, ?3) "
                                    "ON CONFLICT (device, tier) DO UPDATE SET acked = excluded.acked"};
inline constexpr db::Query kKnowsModel{"delivery_knows_model", "SELECT 1 FROM models WHERE name = ?1"};
inline constexpr db::Query kNameRelease{
    "delivery_name_release", "INSERT INTO named_releases (device, release) SELECT ?1, n FROM releases WHERE digest = ?2 ON CONFLICT DO NOTHING"};
// A report is a contact, too: a device may report more often than it polls.
inline constexpr db::Query kTouchContact{
    "delivery_touch_contact", "UPDATE contacts SET seen_at = ?2, heard_s = CASE WHEN heard_s < ?3 THEN ?3 ELSE heard_s END WHERE device = ?1 AND seen_at < ?2"};
/// A device that other servers hear, too, since then.
inline constexpr db::Query kMovedSince{"delivery_moved_since", "SELECT 1 FROM contacts WHERE device = ?1 AND moved_s >= ?2 AND moved_s > 0"};
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

// Bundles (docs/adr/0039).
inline constexpr db::Query kBundleRelease{
    "delivery_bundle_release",
    "SELECT l.n, l.digest, l.document, l.state, EXISTS (SELECT 1 FROM release_members m JOIN releases r ON r.n = m.member WHERE m.release = l.n AND "
    "r.state <> 'approved') FROM releases l WHERE l.model = ?1 AND l.version = ?2"};
inline constexpr db::Query kAddBundle{"delivery_add_bundle",
                                      "INSERT INTO bundles (id, release, selector, created_by, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
#define FLEET_BUNDLE_COLUMNS                                                                                                                   \
  "SELECT b.id, l.model, l.version, b.selector, b.created_by, b.created_at, b.expires_at, (SELECT count(*) FROM bundle_orders o WHERE o.bundle = b.id), " \
  "(SELECT count(*) FROM bundle_holds h WHERE h.bundle = b.id AND h.model = l.model) FROM bundles b JOIN releases l ON l.n = b.release "
inline constexpr db::Query kGetBundle{"delivery_get_bundle", FLEET_BUNDLE_COLUMNS "WHERE b.id = ?1"};
inline constexpr db::Query kListBundles{"delivery_list_bundles", FLEET_BUNDLE_COLUMNS "WHERE ?1 = '' OR b.id < ?1 ORDER BY b.id DESC LIMIT ?2"};
#undef FLEET_BUNDLE_COLUMNS
inline constexpr db::Query kReserveSequence{"delivery_reserve_sequence", "UPDATE devices SET reserved_sequence = ?2 WHERE n = ?1"};
inline constexpr db::Query kAddOrder{"delivery_add_order", "INSERT INTO bundle_orders (bundle, device, sequence, targets) VALUES (?1, ?2, ?3, ?4)"};
// Of a bundle's release, or one of its members.
inline constexpr db::Query kBundledDocument{"delivery_bundled_document",
                                            "SELECT r.n, r.document FROM bundles b JOIN releases r ON r.n = b.release OR r.n IN (SELECT member FROM release_members WHERE release = b.release) "
                                            "WHERE b.id = ?1 AND r.digest = ?2"};
inline constexpr db::Query kProtectedRelease{"delivery_protected_release", "SELECT 1 FROM releases WHERE digest = ?1 AND protected <> '' AND state <> 'revoked'"};
inline constexpr db::Query kWrapKey{"delivery_wrap_key", "SELECT wrap_key FROM devices WHERE id = ?1 AND state = 'active' AND wrap_key IS NOT NULL"};
inline constexpr db::Query kListOrders{"delivery_list_orders",
                                       "SELECT o.device, d.id, d.hardware, o.sequence, o.targets FROM bundle_orders o JOIN devices d ON d.n = o.device "
                                       "WHERE o.bundle = ?1 AND o.device > ?2 ORDER BY o.device LIMIT ?3"};
inline constexpr db::Query kOrderBySequence{"delivery_order_by_sequence", "SELECT bundle, targets FROM bundle_orders WHERE device = ?1 AND sequence = ?2"};
inline constexpr db::Query kOrderByBundle{"delivery_order_by_bundle", "SELECT bundle, targets FROM bundle_orders WHERE device = ?1 AND bundle = ?2"};
inline constexpr db::Query kPutHold{"delivery_put_hold",
                                    "INSERT INTO bundle_holds (device, model, bundle, target) VALUES (?1, ?2, ?3, ?4) "
                                    "ON CONFLICT (device, model) DO UPDATE SET bundle = excluded.bundle, target = excluded.target WHERE bundle_holds.bundle <= excluded.bundle"};
inline constexpr db::Query kDropHold{"delivery_drop_hold", "DELETE FROM bundle_holds WHERE device = ?1 AND model = ?2 AND bundle = ?3"};
inline constexpr db::Query kHolds{
    "delivery_holds",
    "SELECT h.bundle, h.target, b.created_at, l.state = 'revoked' OR EXISTS (SELECT 1 FROM release_members m JOIN releases r ON r.n = m.member "
    "WHERE m.release = l.n AND r.state = 'revoked') FROM bundle_holds h JOIN bundles b ON b.id = h.bundle JOIN releases l ON l.n = b.release "
    "WHERE h.device = ?1"};
inline constexpr db::Query kRolloutEnd{"delivery_rollout_end", "SELECT state, coalesce(completed_at, 0) FROM rollouts WHERE id = ?1"};

// Support bundles: one a device, the order and what came of it.
inline constexpr db::Query kSupport{"delivery_support",
                                    "SELECT id, metered, asked_by, asked_at, received_at, made_at, size, sha256 FROM support_bundles WHERE device = ?1"};
inline constexpr db::Query kSupportContent{"delivery_support_content", "SELECT content FROM support_bundles WHERE device = ?1 AND received_at IS NOT NULL"};
inline constexpr db::Query kSupportWanted{"delivery_support_wanted", "SELECT id, metered FROM support_bundles WHERE device = ?1 AND received_at IS NULL"};
inline constexpr db::Query kAskSupport{
    "delivery_ask_support",
    "INSERT INTO support_bundles (device, id, metered, asked_by, asked_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (device) DO UPDATE SET "
    "id = excluded.id, metered = excluded.metered, asked_by = excluded.asked_by, asked_at = excluded.asked_at, received_at = NULL, made_at = NULL, size = 0, "
    "sha256 = NULL, content = NULL"};
inline constexpr db::Query kPutSupport{
    "delivery_put_support", "UPDATE support_bundles SET received_at = ?2, made_at = ?3, size = ?4, sha256 = ?5, content = ?6 WHERE device = ?1"};
inline constexpr db::Query kSupportBytes{"delivery_support_bytes", "SELECT coalesce(sum(size), 0) FROM support_bundles WHERE received_at IS NOT NULL"};
inline constexpr db::Query kOldestSupport{"delivery_oldest_support",
                                          "SELECT device, size FROM support_bundles WHERE received_at IS NOT NULL ORDER BY received_at, device LIMIT 1"};
inline constexpr db::Query kDropSupport{"delivery_drop_support", "DELETE FROM support_bundles WHERE device = ?1"};

inline constexpr auto kQueries =
    std::to_array<db::Query>({kGetRecord, kGetRecordModels, kSetAgent, kPutModelFromPoll, kPutModelFromReport, kForgetModel, kSetDirective, kNameRelease, kGetTiers, kPutTier, kKnowsModel, kTrimHistory,
                              kTouchContact, kMovedSince, kSetReported, kSuspectClone, kAddHistory, kGetDirectiveRoot, kGetNumberSetting,
                              kBundleRelease, kAddBundle, kGetBundle, kListBundles, kReserveSequence, kAddOrder, kBundledDocument, kProtectedRelease, kWrapKey, kListOrders, kOrderBySequence, kOrderByBundle, kPutHold, kDropHold, kHolds, kRolloutEnd,
                              kSupport, kSupportContent, kSupportWanted, kAskSupport, kPutSupport, kSupportBytes, kOldestSupport, kDropSupport});

}  // namespace fleet::delivery
