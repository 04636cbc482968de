#include "agent/commands/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::size_t kColumn = 34;  ///< of the help's texts

Error usage(std::string detail, std::string hint) { return Error{Kind::bad_input, "usage", std::move(detail), std::move(hint)}; }

bool has_place(Option const& option) { return !option.name.starts_with('-'); }
/// The one of its names that it is known by.
std::string_view long_name(Option const& option) { return option.name.substr(option.name.find(',') + 1); }
bool is_called(Option const& option, std::string_view word) {
  return !has_place(option) && (word == long_name(option) || word == option.name.substr(0, option.name.find(',')));
}

Command const* find_command(std::span<Command const> commands, std::string_view name) {
  auto const found = std::find_if(commands.begin(), commands.end(), [&](Command const& one) { return one.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

/// Of `table|json`.
bool is_one_of(std::string_view choices, std::string_view value) {
  for (;;) {
    auto const end = choices.find('|');
    if (choices.substr(0, end) == value) return true;
    if (end == std::string_view::npos) return false;
    choices.remove_prefix(end + 1);
  }
}

Result<void> take(Arguments& out, Option const& option, std::string value) {
  std::string const name(long_name(option));
  auto& told = out.given[name];
  if (!told.empty() && option.times == Option::Times::once) return usage(fmt::format("{} is given twice", name), "once is enough");
  if (option.value.find('|') != std::string_view::npos && !is_one_of(option.value, value))
    return usage(fmt::format("{} '{}'", name, value), fmt::format("it is one of {}", option.value));
  told.push_back(std::move(value));
  return {};
}

Result<void> check(Command const& command, Arguments const& told) {
  for (auto const& option : command.options) {
    auto const name = long_name(option);
    if (option.needed == Option::Needed::yes && !told.has(name))
      return usage(fmt::format("{}: {} is missing", command.name, name), fmt::format("fleet-agent {} --help", command.name));
    if (!told.has(name)) continue;
    if (!option.only_with.empty() && !told.has(option.only_with)) return usage(fmt::format("{} goes with {}", name, option.only_with), fmt::format("give {}, too", option.only_with));
    if (!option.not_with.empty() && told.has(option.not_with)) return usage(fmt::format("{} and {}", name, option.not_with), "one of the two");
  }
  return {};
}

std::string line(std::string left, std::string_view right) {
  left.resize(std::max(left.size() + 2, kColumn), ' ');
  return fmt::format("  {}{}\n", left, right);
}

std::string shown(Option const& option) { return option.value.empty() || has_place(option) ? std::string(option.name) : fmt::format("{} {}", option.name, option.value); }

}  // namespace

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
  auto const found = given.find(name);
  return found == given.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  auto const found = given.find(name);
  return found == given.end() ? std::vector<std::string>() : found->second;
}

Result<Arguments> read_arguments(std::span<Command const> commands, std::span<char const* const> words) {
  Arguments out;
  Command const* command = nullptr;
  bool names = true;
  auto next_place = std::span<Option const>().begin();
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view const word(words[i]);
    if (names && word == "--") {
      names = false;
    } else if (names && (word == "--help" || word == "-h")) {
      out.help = true;
      return out;
    } else if (command == nullptr) {
      if (word == "--version") {
        out.version = true;
        return out;
      }
      command = find_command(commands, word);
      if (command == nullptr) return usage(fmt::format("there is no command '{}'", word), "fleet-agent --help names them");
      out.command = word;
      next_place = command->options.begin();
    } else if (names && word.size() > 1 && word.starts_with('-')) {
      auto const equals = word.starts_with("--") ? word.find('=') : std::string_view::npos;
      auto const option = std::find_if(command->options.begin(), command->options.end(), [&](Option const& one) { return is_called(one, word.substr(0, equals)); });
      if (option == command->options.end()) return usage(fmt::format("{} has no {}", command->name, word.substr(0, equals)), fmt::format("fleet-agent {} --help", command->name));
      bool const written = equals != std::string_view::npos;
      if (option->value.empty() && written) return usage(fmt::format("{} takes no value", word.substr(0, equals)), "leave out what follows the =");
      if (!option->value.empty() && !written && i + 1 == words.size()) return usage(fmt::format("{} needs a value", word), fmt::format("{} {}", word, option->value));
      FLEET_CHECK(take(out, *option, option->value.empty() ? std::string() : std::string(written ? word.substr(equals + 1) : std::string_view(words[++i]))));
    } else {
      next_place = std::find_if(next_place, command->options.end(), has_place);
      if (next_place == command->options.end()) return usage(fmt::format("{} does not know what to do with '{}'", command->name, word), fmt::format("fleet-agent {} --help", command->name));
      FLEET_CHECK(take(out, *next_place++, std::string(word)));
    }
  }
  if (command == nullptr) return usage("a command is missing", "fleet-agent --help names them");
  FLEET_CHECK(check(*command, out));
  return out;
}

std::string help_of(std::span<Command const> commands, std::string_view name) {
  std::string out;
  auto const* const command = find_command(commands, name);
  if (command == nullptr) {
    for (auto const& one : commands) out += line(std::string(one.name), one.help);
    return out + "\nfleet-agent COMMAND --help says more; fleet-agent --version\n";
  }
  out = fmt::format("fleet-agent {}: {}\n\n", command->name, command->help);
  for (auto const& option : command->options) {
    if (option.help.empty()) continue;
    out += line(shown(option), fmt::format("{}{}{}", option.help, option.needed == Option::Needed::yes ? "; needed" : "", option.times == Option::Times::many ? "; repeatable" : ""));
  }
  return out;
}

}  // namespace fleet::agent
