#pragma once

#include "tests/crash/cuts.hpp"
#include "tests/crash/world.hpp"

#include <functional>
#include <string>

namespace fleet::crash {

/// From now on a sync does nothing: `fdatasync /journal`.
void forget(std::string const& what);
/// Remembers what each operation does; `each` is called when it is done.
void watch(World& world, std::function<void(Call, std::string const&)> each);
/// A world at the beginning of what is to be cut: what comes before was lived in peace.
[[nodiscard]] World begin(Life const& life);
[[nodiscard]] bool is_wanted(Wanted const& wanted, std::uint64_t point);

}  // namespace fleet::crash
