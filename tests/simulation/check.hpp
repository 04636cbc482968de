#pragma once

#include <cstdint>

namespace fleet::simulation {

/// Named scenarios with what must hold of each of their runs. Tells every run, and of those that are not as they must be the seed.
/// @param seed  of the first run of each; further ones take the next  @returns runs that are not as they must be
[[nodiscard]] int check(std::uint64_t seed, int runs, int jobs);

}  // namespace fleet::simulation
