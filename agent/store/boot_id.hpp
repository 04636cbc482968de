#pragma once

#include "core/base/fs.hpp"

#include <string>

namespace fleet::agent {

/// This boot, as the kernel names it.
[[nodiscard]] std::string read_boot_id(Fs& fs);

}  // namespace fleet::agent
