#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::routes {

// What is to be prepared.
inline constexpr db::Query kModelsAfter{"content_models_after", "SELECT name FROM models WHERE name > ?1 ORDER BY name LIMIT 100"};
inline constexpr db::Query kNewestOf{"content_newest_of", "SELECT n FROM releases WHERE model = ?1 AND state <> 'revoked' ORDER BY n DESC LIMIT ?2"};
inline constexpr db::Query kRolledOut{
    "content_rolled_out",
    "SELECT DISTINCT r.n FROM rollouts k JOIN releases r ON r.n = k.release OR r.n = k.against WHERE k.model = ?1 AND k.state IN ('draft', 'awaiting_approval', 'running', 'paused') AND r.state <> 'revoked'"};
inline constexpr db::Query kMembers{"content_members", "SELECT member FROM release_members WHERE release = ?1"};
inline constexpr db::Query kDocument{"content_document", "SELECT model, version, document, state FROM releases WHERE n = ?1"};
inline constexpr db::Query kRunningOf{
    "content_running_of",
    "SELECT r.n, c.devices FROM running_counts c JOIN releases r ON r.model = c.model AND r.version = c.version WHERE c.model = ?1 AND c.devices > 0 ORDER BY c.devices DESC, r.n DESC LIMIT ?2"};
inline constexpr db::Query kWant{
    "content_want",
    "INSERT INTO content_recipes (target, base, sealed, release, variant, base_release, base_variant, state, devices, urgent, wanted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting', ?8, ?9, ?10) "
    "ON CONFLICT (target, base, sealed) DO UPDATE SET devices = excluded.devices, urgent = excluded.urgent, wanted_at = excluded.wanted_at"};

// What is no longer.
inline constexpr db::Query kUnwanted{"content_unwanted", "SELECT n FROM content_recipes WHERE wanted_at < ?1 ORDER BY wanted_at, n LIMIT ?2"};
inline constexpr db::Query kOfRevoked{
    "content_of_revoked",
    "SELECT c.n FROM content_recipes c JOIN releases r ON r.n = c.release WHERE r.state = 'revoked' AND (c.sealed <> 0 OR NOT EXISTS "
    "(SELECT 1 FROM release_files f JOIN releases o ON o.n = f.release WHERE f.sha256 = c.target AND o.state <> 'revoked')) LIMIT ?1"};
inline constexpr db::Query kOldestReady{"content_oldest_ready", "SELECT n FROM content_recipes WHERE state = 'ready' AND wanted_at < ?1 ORDER BY wanted_at, n LIMIT 1"};
inline constexpr db::Query kOnlyOf{
    "content_only_of", "SELECT sha256 FROM content_objects o WHERE recipe = ?1 AND NOT EXISTS (SELECT 1 FROM content_objects p WHERE p.sha256 = o.sha256 AND p.recipe <> o.recipe)"};
inline constexpr db::Query kDrop{"content_drop", "DELETE FROM content_recipes WHERE n = ?1"};
inline constexpr db::Query kMakeAgain{
    "content_make_again",
    "UPDATE content_recipes SET state = 'waiting', kind = NULL, recipe = NULL, recipe_bytes = 0, wire_bytes = 0, memory = 0, why = NULL, done_at = NULL WHERE n = ?1"};
inline constexpr db::Query kForgetObjects{"content_forget_objects", "DELETE FROM content_objects WHERE recipe = ?1"};
inline constexpr db::Query kReadyAfter{"content_ready_after", "SELECT n FROM content_recipes WHERE n > ?1 AND state = 'ready' ORDER BY n LIMIT 100"};

inline constexpr db::Query kObjectsOf{"content_objects_of", "SELECT sha256, size FROM content_objects WHERE recipe = ?1"};

// Making one.
inline constexpr db::Query kNext{
    "content_next",
    "SELECT n, target, base, release, variant, base_release, base_variant, sealed FROM content_recipes WHERE state = 'waiting' ORDER BY urgent DESC, devices DESC, n LIMIT ?1"};
inline constexpr db::Query kDigestOf{"content_digest_of", "SELECT digest FROM releases WHERE n = ?1"};
inline constexpr db::Query kBytesOf{"content_bytes_of", "SELECT recipe_bytes + wire_bytes FROM content_recipes WHERE target = ?1 AND base = ?2 AND sealed = ?3 AND state = 'ready'"};
inline constexpr db::Query kEnd{
    "content_end",
    "UPDATE content_recipes SET state = ?2, kind = ?3, recipe = ?4, recipe_bytes = ?5, wire_bytes = ?6, memory = ?7, why = ?8, done_at = ?9 WHERE n = ?1"};
inline constexpr db::Query kAddObject{"content_add_object", "INSERT INTO content_objects (sha256, recipe, size) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"};
inline constexpr db::Query kObjectsBytes{"content_objects_bytes", "SELECT coalesce(sum(size), 0), count(*) FROM (SELECT DISTINCT sha256, size FROM content_objects) o"};
inline constexpr db::Query kCountStates{"content_count_states", "SELECT state, count(*) FROM content_recipes GROUP BY state ORDER BY state"};

// What devices and people ask for.
inline constexpr db::Query kObjectsOfReady{
    "content_objects_of_ready",
    "SELECT o.sha256, o.size FROM content_recipes c JOIN content_objects o ON o.recipe = c.n WHERE c.target = ?1 AND c.base = ?2 AND c.sealed = ?3 AND c.state = 'ready' ORDER BY o.sha256"};
inline constexpr db::Query kObject{"content_object", "SELECT size FROM content_objects WHERE sha256 = ?1 LIMIT 1"};
inline constexpr db::Query kObjectOfDevice{
    "content_object_of_device",
    "SELECT 1 FROM content_objects o JOIN content_recipes c ON c.n = o.recipe JOIN release_files f ON f.sha256 = c.target JOIN named_releases m ON m.device = ?2 AND m.release = f.release "
    "JOIN devices d ON d.n = m.device JOIN release_hardware h ON h.release = f.release AND h.hardware = d.hardware AND h.variant = f.variant WHERE o.sha256 = ?1 LIMIT 1"};
// ?2 empty: of any model.
inline constexpr db::Query kObjectInRelease{
    "content_object_in_release",
    "SELECT 1 FROM content_objects o JOIN content_recipes c ON c.n = o.recipe JOIN release_files f ON f.sha256 = c.target JOIN releases r ON r.n = f.release "
    "WHERE o.sha256 = ?1 AND (?2 = '' OR r.model = ?2) LIMIT 1"};
inline constexpr db::Query kNamedRelease{
    "content_named_release",
    "SELECT r.document, d.hardware, r.n FROM releases r JOIN named_releases m ON m.release = r.n JOIN devices d ON d.n = m.device WHERE r.digest = ?1 AND d.n = ?2"};
inline constexpr db::Query kRoutesOf{
    "content_routes_of",
    "SELECT kind, base, recipe, recipe_bytes, wire_bytes, memory FROM content_recipes WHERE target = ?1 AND sealed = ?2 AND state = 'ready' ORDER BY recipe_bytes + wire_bytes, n LIMIT 16"};
// The release with whose key files of this one are encrypted: itself, where it is protected.
inline constexpr db::Query kSealedOf{"content_sealed_of", "SELECT n FROM releases WHERE model = ?1 AND version = ?2 AND protected <> ''"};
inline constexpr db::Query kSealedWaits{"content_sealed_waits", "SELECT 1 FROM content_recipes WHERE sealed = ?1 AND state = 'waiting' LIMIT 1"};
inline constexpr db::Query kAllOf{
    "content_all_of",
    "SELECT c.state, c.kind, c.base, c.recipe, c.recipe_bytes, c.wire_bytes, c.memory, c.why, c.devices, r.model, r.version FROM content_recipes c LEFT JOIN releases r ON r.n = c.base_release "
    "WHERE c.target = ?1 AND c.sealed = ?2 ORDER BY CASE WHEN c.state = 'ready' THEN 0 ELSE 1 END, c.recipe_bytes + c.wire_bytes, c.n LIMIT 16"};

inline constexpr auto kQueries = std::to_array<db::Query>({kModelsAfter, kNewestOf, kRolledOut, kMembers, kDocument, kRunningOf, kWant, kUnwanted, kOfRevoked, kOldestReady, kOnlyOf, kDrop, kMakeAgain,
                                                           kForgetObjects, kReadyAfter, kObjectsOf, kNext, kDigestOf, kBytesOf, kEnd, kAddObject, kObjectsBytes, kCountStates, kObject, kObjectOfDevice, kObjectInRelease,
                                                           kNamedRelease, kObjectsOfReady, kRoutesOf, kSealedOf, kSealedWaits, kAllOf});

}  // namespace fleet::routes
