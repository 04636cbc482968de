#pragma once

#include "cli/commands/command.hpp"

#include <string>
#include <string_view>

namespace fleet::commands {

/// A script that completes commands, flags and the values of flags with fixed choices, made from the same tables as the parser.
/// @param shell  `bash`, `zsh` or `fish`
[[nodiscard]] std::string completion_script(std::string_view shell);

}  // namespace fleet::commands
