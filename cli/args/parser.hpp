#pragma once

#include "cli/args/command.hpp"

#include <string>
#include <vector>

namespace fleet::cli {

/// What a command line says: a command with its arguments, or a text to print and an exit code (help, a wrong use).
struct Parsed {
  Command const* command = nullptr;  ///< null: print and end
  Arguments arguments;               ///< of the command and the global ones
  std::string text;
  int exit = 0;  ///< 0: `text` is help, for standard output; else for standard error
};

/// @param words  without the program's name
/// @param known  must outlive what is returned
[[nodiscard]] Parsed parse(CommandTree const& known, std::vector<std::string> const& words);

/// The nearest of `known` to `word` when it is near enough to be a slip; empty otherwise.
[[nodiscard]] std::string nearest(std::string_view word, std::vector<std::string> const& known);

}  // namespace fleet::cli
