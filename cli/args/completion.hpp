#pragma once

#include "cli/args/command.hpp"

#include <string>
#include <string_view>

namespace fleet::cli {

/// A script that completes commands, flags and the values of flags with fixed choices, made from the same tables as the parser.
/// @param shell  `bash`, `zsh` or `fish`
[[nodiscard]] std::string completion_script(CommandTree const& known, std::string_view shell);

}  // namespace fleet::cli
