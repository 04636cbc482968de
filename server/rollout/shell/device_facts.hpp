#pragma once

#include "server/registry/selector.hpp"
#include "server/rollout/shell/engine.hpp"

#include <functional>
#include <string_view>

namespace fleet::rollout {

/// Labels from the JSON column; what is no text is left out.
[[nodiscard]] wire::Labels read_labels(std::string_view json);
/// Fills in what a device runs of each model.
[[nodiscard]] Result<void> read_running(db::Connection& reader, DeviceFacts& device);
[[nodiscard]] registry::DeviceView view_of(DeviceFacts const& device);
/// Calls `take` with each active device that the selector matches. `running` is filled only where the selector asks for it.
[[nodiscard]] Result<void> scan_selected(db::Connection& reader, registry::Selector const& selector,
                                         std::function<Result<void>(DeviceFacts const&)> const& take);

}  // namespace fleet::rollout
