#pragma once

#include "core/base/random.hpp"
#include "core/base/time.hpp"

namespace fleet::admin {

/// What a command takes of the machine beside its disk; main hands in the real ones.
struct Machine {
  Clock& clock;
  Random& random;
};

}  // namespace fleet::admin
