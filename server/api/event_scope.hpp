#pragma once

#include "server/api/route.hpp"

#include <boost/json/value.hpp>

namespace fleet::api {

/// May the caller see what happened to `subject` (`device/ID`, `rollout/ID`, `release/M@V`, `model/M`, ...), of which `data` tells? Tokens and roles are
/// for admins; a token with limits sees what they cover, and nothing that cannot be judged: a rollout that is gone, a subject that is none of these.
[[nodiscard]] Result<bool> may_see(Call const& call, db::Connection& reader, std::string_view subject, boost::json::value const& data);

}  // namespace fleet::api
