#pragma once

#include <cstdint>

namespace fleet {

/// Raises the soft limit of open descriptors to the hard one, as far as the system lets us: shells start programs with 1,024. The limit that holds now.
std::uint64_t raise_descriptor_limit();

}  // namespace fleet
