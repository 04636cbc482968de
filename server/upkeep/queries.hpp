#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::upkeep {

// What is past its time. Events and histories are in the order of time but for clocks that were set: looking at the oldest rows alone bounds the work.
inline constexpr db::Query kForgetReplays{
    "forget_replays", "DELETE FROM idempotency WHERE (actor, key) IN (SELECT actor, key FROM idempotency WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)"};
inline constexpr db::Query kForgetEvents{"forget_events",
                                         "DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, time FROM events ORDER BY id LIMIT ?2) AS oldest WHERE time <= ?1)"};
inline constexpr db::Query kForgetHistory{
    "forget_history",
    "DELETE FROM device_history WHERE id IN (SELECT id FROM (SELECT id, received FROM device_history ORDER BY id LIMIT ?2) AS oldest WHERE received <= ?1)"};
inline constexpr db::Query kForgetExchanged{
    "forget_exchanged", "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE bound_role IS NOT NULL AND expires_at <= ?1 LIMIT ?2)"};

inline constexpr db::Query kForgetPending{
    "forget_pending",
    "DELETE FROM pending_enrolments WHERE (device_id, key_sha256) IN (SELECT device_id, key_sha256 FROM pending_enrolments WHERE created_at <= ?1 "
    "ORDER BY created_at LIMIT ?2)"};
inline constexpr db::Query kForgetJoinTokens{
    "forget_join_tokens", "DELETE FROM device_tokens WHERE id IN (SELECT id FROM device_tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"};
// What a bundle said to each device, once it says it no more.
inline constexpr db::Query kForgetOrders{"forget_orders",
                                         "DELETE FROM bundle_orders WHERE (bundle, device) IN (SELECT o.bundle, o.device FROM bundles b JOIN bundle_orders o ON o.bundle = b.id "
                                         "WHERE b.expires_at <= ?1 LIMIT ?2)"};

inline constexpr db::Query kForgetSupport{
    "forget_support", "DELETE FROM support_bundles WHERE device IN (SELECT device FROM support_bundles WHERE received_at <= ?1 ORDER BY received_at LIMIT ?2)"};

inline constexpr auto kQueries =
    std::to_array<db::Query>({kForgetReplays, kForgetEvents, kForgetHistory, kForgetExchanged, kForgetPending, kForgetJoinTokens, kForgetOrders, kForgetSupport});

}  // namespace fleet::upkeep
