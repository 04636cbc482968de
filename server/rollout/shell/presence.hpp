#pragma once

#include "server/rollout/engine/past.hpp"
#include "server/store/store.hpp"

#include <optional>

namespace fleet::rollout {

/// So far back a fleet's past is kept and looked at.
inline constexpr std::chrono::hours kPastKept{24 * 30};

/// Counts who is out of reach; off the writer, for it reads a row a device.
[[nodiscard]] Result<PastHour> look_around(db::Connection& reader, std::int64_t returned, SysTime now);
/// Whether the hour of `now` has a row already: a server that was restarted goes on in it.
[[nodiscard]] Result<bool> has_looked(db::Connection& reader, SysTime now);
/// Keeps the hour, and forgets what is older than kPastKept.
[[nodiscard]] Result<void> keep_hour(store::Tx& tx, PastHour const& hour);
/// The newest hour that was kept; nothing where none was.
[[nodiscard]] Result<std::optional<PastHour>> last_hour(db::Connection& reader);
/// The last 30 days.
[[nodiscard]] Result<Past> load_past(db::Connection& reader, SysTime now);

}  // namespace fleet::rollout
