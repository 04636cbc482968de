#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <string>

namespace fleet::agent {

/// Seconds east of UTC in an IANA zone at `at`, from the machine's TZif file (RFC 8536). After its last transition the last offset holds:
/// Debian's files reach to 2037. @errors not_found (code `unknown_zone`), corrupt
[[nodiscard]] Result<std::int32_t> utc_offset(Fs& fs, std::string const& zone, SysTime at);
/// Whether local time lies in the window; over midnight when `to` <= `from`, and then the day is that of its start.
/// @errors as utc_offset, bad_input
[[nodiscard]] Result<bool> in_window(Fs& fs, wire::Window const& window, SysTime at);

}  // namespace fleet::agent
