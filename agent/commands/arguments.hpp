#pragma once

#include "core/base/result.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::agent {

/// What a command may be told, as a row of its table.
struct Option {
  std::string_view name;   ///< `--root`, or `-o,--output`; without dashes: it is known by its place
  std::string_view value;  ///< what stands for its value in the help; `table|json`: it is one of these; empty: a flag, which has none
  std::string_view help;   ///< empty: not shown
  enum class Needed { no, yes } needed = Needed::no;
  enum class Times { once, many } times = Times::once;
  std::string_view only_with = {}, not_with = {};  ///< another one's name
};
struct Command {
  std::string_view name, help;
  std::span<Option const> options;
};

/// What somebody typed. Values are as they were written.
struct Arguments {
  std::string command;   ///< empty: none, where help or the version was asked for
  bool help = false;     ///< of the command, or of all
  bool version = false;
  std::map<std::string, std::vector<std::string>, std::less<>> given;  ///< by name: what was told, `--output` for either of its names; of a flag one empty text

  [[nodiscard]] bool has(std::string_view name) const { return given.contains(name); }
  [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise = {}) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
};

/// `COMMAND --name VALUE --name=VALUE value`; `--` ends the names.
/// @errors bad_input (`usage`), naming what is wrong and what is known
[[nodiscard]] Result<Arguments> read_arguments(std::span<Command const> commands, std::span<char const* const> words);
/// What there is to type: of one command, or, with `name` empty, which commands there are.
[[nodiscard]] std::string help_of(std::span<Command const> commands, std::string_view name);

}  // namespace fleet::agent
