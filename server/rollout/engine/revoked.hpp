#pragma once

#include "server/rollout/engine/decide.hpp"

#include <string>
#include <vector>

namespace fleet::rollout {

/// Digests (hex, sorted) of a model's revoked releases that rollouts brought to this device or found on it: no place for it to go back to by itself.
[[nodiscard]] std::vector<std::string> revoked_here(ModelRollouts const& of_model, DeviceRows const& rows);

}  // namespace fleet::rollout
