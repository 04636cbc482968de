#pragma once

#include "server/rollout/engine/snapshot.hpp"
#include "server/store/store.hpp"

namespace fleet::rollout {

/// Loads the snapshot; views of `before` that did not change are taken over.
[[nodiscard]] Result<std::shared_ptr<Snapshot const>> load_snapshot(db::Connection& reader, std::uint64_t epoch, Snapshot const* before);

}  // namespace fleet::rollout
