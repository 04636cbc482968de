#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// May the caller see what happened to `subject` (`device/ID`, `rollout/ID`, `release/M@V`, `model/M`, ...)? Tokens and roles are for admins; a token
/// with limits sees what its limits cover, and nothing that cannot be judged: a device that is gone, a subject that is none of these.
[[nodiscard]] Result<bool> may_see(Call const& call, db::Connection& reader, std::string_view subject);

}  // namespace fleet::api
