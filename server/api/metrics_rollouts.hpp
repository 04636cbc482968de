#pragma once

#include "server/api/exposition.hpp"
#include "server/store/store.hpp"

namespace fleet::api {

/// How many rollouts there are by state, and each of the newest live ones: where it stands, what its devices came to, how near its gates are.
[[nodiscard]] Result<void> add_rollouts(db::Connection& reader, Exposition& out);

}  // namespace fleet::api
