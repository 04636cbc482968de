#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::cost {

#define FLEET_LIVE "('draft', 'awaiting_approval', 'running', 'paused', 'rolling_back')"


// What is stored: all releases with a digest together.
inline constexpr db::Query kReleases{"cost_releases", "SELECT n, model, version, state FROM releases ORDER BY n DESC"};
inline constexpr db::Query kFilesHeld{"cost_files_held", "SELECT f.sha256, b.size, f.release FROM release_files f JOIN blobs b ON b.sha256 = f.sha256 ORDER BY f.sha256"};
inline constexpr db::Query kObjectsHeld{"cost_objects_held", "SELECT o.sha256, o.size, c.release FROM content_objects o JOIN content_recipes c ON c.n = o.recipe ORDER BY o.sha256"};
inline constexpr db::Query kBlobs{"cost_blobs", "SELECT count(*), coalesce(sum(size), 0) FROM blobs"};
inline constexpr db::Query kOnTheirWay{"cost_on_their_way", "SELECT coalesce(sum(received), 0) FROM uploads WHERE state = 'open'"};

// What something still needs.
inline constexpr db::Query kRunning{"cost_running", "SELECT r.n FROM running_counts c JOIN releases r ON r.model = c.model AND r.version = c.version WHERE c.devices > 0"};
// Of those that completed, the newest of a selector says what devices run that are yet to come.
inline constexpr db::Query kRolledOut{
    "cost_rolled_out",
    "SELECT release FROM rollouts WHERE state IN " FLEET_LIVE " UNION SELECT against FROM rollouts WHERE state IN " FLEET_LIVE " AND against IS NOT NULL UNION "
    "SELECT r.release FROM rollouts r WHERE r.state = 'completed' AND NOT EXISTS "
    "(SELECT 1 FROM rollouts o WHERE o.model = r.model AND o.selector = r.selector AND o.state = 'completed' AND o.moment > r.moment)"};
inline constexpr db::Query kLive{"cost_live", "SELECT n, model FROM rollouts WHERE state IN " FLEET_LIVE};
inline constexpr db::Query kRanBefore{"cost_ran_before", "SELECT DISTINCT from_version FROM rollout_devices WHERE rollout = ?1 AND from_version IS NOT NULL"};
inline constexpr db::Query kBundled{"cost_bundled", "SELECT release FROM bundles WHERE expires_at > ?1"};
inline constexpr db::Query kMembers{"cost_members", "SELECT release, member FROM release_members"};

// What rollouts send.
#define FLEET_COSTED_ROLLOUT \
  "SELECT r.n, r.id, r.model, r.version, r.state, r.started_at, b.version FROM rollouts r LEFT JOIN releases b ON b.n = r.against "
inline constexpr db::Query kRollout{"cost_rollout", FLEET_COSTED_ROLLOUT "WHERE r.id = ?1"};
inline constexpr db::Query kRollouts{
    "cost_rollouts",
    FLEET_COSTED_ROLLOUT "WHERE r.started_at IS NOT NULL AND (r.started_at >= ?1 OR r.state IN " FLEET_LIVE ") AND (?2 = '' OR r.model = ?2) ORDER BY r.n DESC LIMIT ?3"};
#undef FLEET_COSTED_ROLLOUT
inline constexpr db::Query kTold{"cost_told", "SELECT coalesce(sum(devices), 0) FROM rollout_counts WHERE rollout = ?1 AND arm IN ('canary', 'against') AND devices > 0"};
// The first ?2 of them; of one that was deleted nobody knows the hardware.
inline constexpr db::Query kWhoWasTold{
    "cost_who_was_told",
    "SELECT x.arm, d.hardware, coalesce(x.from_version, ''), count(*) FROM (SELECT device, arm, from_version FROM rollout_devices WHERE rollout = ?1 AND arm IN ('canary', 'against') "
    "ORDER BY device LIMIT ?2) AS x JOIN devices d ON d.n = x.device GROUP BY x.arm, d.hardware, coalesce(x.from_version, '')"};

// How often devices ask: those that are online now.
inline constexpr db::Query kHabits{
    "cost_habits",
    "SELECT c.poll_every_s, c.report_every_s, count(*) FROM contacts c JOIN devices d ON d.n = c.device WHERE d.state = 'active' AND c.seen_at >= ?1 - 3000 * c.poll_every_s "
    "GROUP BY c.poll_every_s, c.report_every_s"};

#undef FLEET_LIVE

inline constexpr auto kQueries = std::to_array<db::Query>({kReleases, kFilesHeld, kObjectsHeld, kBlobs, kOnTheirWay, kRunning, kRolledOut, kLive, kRanBefore, kBundled, kMembers,
                                                           kRollout, kRollouts, kTold, kWhoWasTold, kHabits});

}  // namespace fleet::cost
