#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fleet::crash {

/// Which cuts are tried.
struct Wanted {
  std::string life;              ///< empty: all
  std::uint64_t seed = 1;
  int mixed = 4;                 ///< mixed orders at each cut, beside one of each other
  std::uint64_t every = 1;       ///< at each n-th operation
  std::optional<std::uint64_t> cut = {};
  std::string order = {};
  std::string error = {};        ///< only this one (errors.cpp)
  std::string forget = {};       ///< `fsync /models/`: that call to paths that hold this does nothing: shows that it would be found
};
struct Tried {
  std::uint64_t points = 0, runs = 0, faults = 0;
  Tried& operator+=(Tried const& other) {
    points += other.points;
    runs += other.runs;
    faults += other.faults;
    return *this;
  }
};
/// Cuts the power. Prints a line a life, and the first faults of each.
Tried cut_all(Wanted const& wanted);
/// Lets calls fail, once or for half an hour, each life from its beginning.
Tried fail_all(Wanted const& wanted);

}  // namespace fleet::crash
