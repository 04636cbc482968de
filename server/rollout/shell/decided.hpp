#pragma once

#include "server/rollout/engine/decide.hpp"
#include "server/store/store.hpp"

#include <vector>

/// What a device should run, of all models and sets together. A poll tells it, and the judge asks it of members of a window: one function, or the judge waits for
/// devices that are never told.
namespace fleet::rollout {

/// decide_model for each model that has a rollout; then sets and their members are made one word (engine/sets.hpp), and what is told has its path, length and
/// digest. Reads the releases that are named; nothing that grows with the fleet.
[[nodiscard]] Result<std::vector<ModelDecision>> decide_all(db::Connection& reader, Snapshot const& snapshot, registry::DeviceFacts const& device, DeviceRows const& rows,
                                                            Instant now);

}  // namespace fleet::rollout
