#pragma once

#include "core/base/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::cli {

class Session;

/// One option or argument of a command. Its key in `Arguments` is the long name without dashes, or the argument's name.
struct Option {
  enum class Kind {
    flag,      ///< --full
    value,     ///< --model M, once
    values,    ///< --label k=v, as often as one likes
    argument,  ///< ID, must be there
    optional_argument,
    arguments,  ///< ID..., at least one
  };
  Kind kind;
  std::string_view name;   ///< `--model`, `-d,--data`, or `ID`
  std::string_view value;  ///< what stands for the value in help; empty for flags and arguments
  std::string_view about;
  bool required = false;  ///< of value and values
  std::vector<std::string_view> choices = {};
  [[nodiscard]] std::string_view key() const;
};

/// What was given on the command line.
class Arguments {
public:
  void set(std::string_view key, std::vector<std::string> values) { values_[std::string(key)] = std::move(values); }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] bool flag(std::string_view key) const { return has(key); }
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback = "") const;
  [[nodiscard]] std::vector<std::string> const& texts(std::string_view key) const;

private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// A command does its work and gives an exit code, 0 in most cases; an error becomes its kind's exit code.
using Run = Result<int> (*)(Session& session, Arguments const& arguments);

/// One row of a noun's table. The tree of commands, help and completion all come from these rows.
struct Command {
  std::string_view path;  ///< `device token create`
  std::string_view about;
  std::string_view example;  ///< after `fleetctl `; lines with a break between
  Run run;
  std::vector<Option> options = {};
  bool takes_selector = false;  ///< --selector means something here; elsewhere it is refused rather than ignored
  bool creates = false;         ///< takes --idempotency-key
  bool needs_reason = false;
};

/// A noun alone, for help: `device token` - "join tokens of devices".
struct Noun {
  std::string_view path;
  std::string_view about;
};

/// A command's own options, with those that its traits bring.
[[nodiscard]] std::vector<Option> options_of(Command const& command);
/// Flags that every command takes; keys of `Arguments` too.
[[nodiscard]] std::vector<Option> const& global_options();

/// Everything that the program can do: what the parser, help and completion are made from.
struct CommandTree {
  std::vector<Noun> nouns;
  std::vector<Command> commands;
};

}  // namespace fleet::cli
