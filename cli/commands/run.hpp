#pragma once

#include "cli/client/console.hpp"

#include <string>
#include <vector>

namespace fleet::cli {

/// The whole program: parses `words` (without the program's name), runs the command, tells errors, gives the exit code.
[[nodiscard]] int run(std::vector<std::string> const& words, Surroundings const& around);

}  // namespace fleet::cli
