#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

namespace fleet::agent {

/// Whether local time lies in the window; over midnight when `to` <= `from`, and then the day is that of its start.
/// @errors as Zone::load, bad_input
[[nodiscard]] Result<bool> in_window(Fs& fs, wire::Window const& window, SysTime at);

}  // namespace fleet::agent
