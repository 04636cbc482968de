#pragma once

#include "cli/client/session.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fleet::cli {

/// Asks for a rollout about once a second until `seen` gives an exit code. A server that cannot be reached is asked again for a while,
/// because restarts happen; whoever follows changes nothing.
/// @param seen   called with each answer
/// @param limit  of the whole; nothing: none
/// @errors timeout, unavailable (for kPatience), and what the first request says
[[nodiscard]] Result<int> follow_rollout(Session& session, std::string const& id, std::optional<Millis> limit,
                                         std::function<std::optional<int>(boost::json::value const& rollout)> const& seen);

/// Exit code of a rollout in this state when somebody follows it: 0 completed, 5 rolled back or aborted, 9 waiting for a person when
/// `fail_on_pause`; nothing while it goes on.
[[nodiscard]] std::optional<int> ended(std::string_view state, bool fail_on_pause);

/// The first devices of a rollout that failed, with their codes and the last lines of their programs; empty where none did, or they cannot be asked for.
[[nodiscard]] std::vector<std::string> failures_of(Session& session, boost::json::value const& rollout);

}  // namespace fleet::cli
