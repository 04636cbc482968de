#include "cli/args/completion.hpp"

#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

namespace fleet::cli {
namespace {

std::string words_of(std::set<std::string> const& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::vector<std::string> names_of(Option const& option) {
  std::vector<std::string> names;
  auto rest = option.name;
  while (!rest.empty()) {
    auto const end = std::min(rest.find(','), rest.size());
    if (rest.front() == '-') names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

/// Path of words -> what may follow it: commands for a noun, flags for a command.
std::map<std::string, std::set<std::string>> next_words(CommandTree const& known) {
  std::map<std::string, std::set<std::string>> next;
  for (auto const& command : known.commands) {
    std::string path;
    std::string_view rest = command.path;
    while (!rest.empty()) {
      auto const end = std::min(rest.find(' '), rest.size());
      std::string const word(rest.substr(0, end));
      next[path].insert(word);
      path += (path.empty() ? "" : " ") + word;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    auto& flags = next[path];
    for (auto const& option : options_of(command)) {
      for (auto const& name : names_of(option)) flags.insert(name);
      if (option.name.front() != '-') flags.insert(option.choices.begin(), option.choices.end());
    }
  }
  return next;
}

std::set<std::string> global_names() {
  std::set<std::string> names;
  for (auto const& option : global_options())
    for (auto const& name : names_of(option)) names.insert(name);
  return names;
}

/// Flag -> its fixed values; `@file` where a path is wanted.
std::map<std::string, std::set<std::string>> flag_values(CommandTree const& known) {
  std::map<std::string, std::set<std::string>> values;
  auto const add = [&values](Option const& option) {
    if (option.kind == Option::Kind::flag) return;
    for (auto const& name : names_of(option)) {
      auto& of = values[name];
      for (auto const choice : option.choices) of.emplace(choice);
      if (option.value.find("FILE") != std::string_view::npos || option.value.find("PATH") != std::string_view::npos) of.insert("@file");
    }
  };
  for (auto const& option : global_options()) add(option);
  for (auto const& command : known.commands)
    for (auto const& option : options_of(command)) add(option);
  return values;
}

/// bash and zsh share the walk; only how words are offered differs.
std::string case_rows(CommandTree const& known, std::string_view indent) {
  std::string out;
  for (auto const& [path, words] : next_words(known)) out += fmt::format("{}\"{}\") words=\"{}\" ;;\n", indent, path, words_of(words));
  return out;
}

std::string value_rows(CommandTree const& known, std::string_view indent, std::string_view files) {
  std::string out;
  for (auto const& [flag, values] : flag_values(known)) {
    auto const offered = values.contains("@file") ? std::string(files) : fmt::format("offer=\"{}\"", words_of(values));
    out += fmt::format("{}{}) {}; value=1 ;;\n", indent, flag, offered);
  }
  return out;
}

std::string flags_with_values(CommandTree const& known, std::string const& between) {
  std::string out;
  for (auto const& [flag, values] : flag_values(known)) out += (out.empty() ? "" : between) + flag;
  return out;
}

std::string bash_script(CommandTree const& known) {
  return fmt::format(R"SH(# bash completion for fleetctl:  source <(fleetctl completion bash)
_fleetctl() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" path="" words="" offer="" value="" i skip=""
  COMPREPLY=()
  case "$prev" in
{values}  esac
  if [ -n "$value" ]; then
    [ "$offer" = "@file" ] && COMPREPLY=( $(compgen -f -- "$cur") ) || COMPREPLY=( $(compgen -W "$offer" -- "$cur") )
    return 0
  fi
  for (( i = 1; i < COMP_CWORD; i++ )); do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "${{COMP_WORDS[i]}}" in
      {flags}) skip=1 ;;
      -*) ;;
      *) _fleetctl_known "${{path:+$path }}${{COMP_WORDS[i]}}" && path="${{path:+$path }}${{COMP_WORDS[i]}}" ;;
    esac
  done
  _fleetctl_words "$path"
  case "$cur" in
    -*) words="$words {globals}" ;;
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
_fleetctl_known() {{ local words="-"; _fleetctl_words "$1"; [ "$words" != "-" ]; }}
_fleetctl_words() {{
  case "$1" in
{rows}  esac
}}
complete -o default -F _fleetctl fleetctl
)SH",
                     fmt::arg("values", value_rows(known, "    ", "offer=\"@file\"")), fmt::arg("flags", flags_with_values(known, "|")),
                     fmt::arg("globals", words_of(global_names())), fmt::arg("rows", case_rows(known, "    ")));
}

std::string zsh_script(CommandTree const& known) {
  return fmt::format(R"SH(#compdef fleetctl
# zsh completion for fleetctl:  source <(fleetctl completion zsh)
_fleetctl() {{
  local cur="${{words[CURRENT]}}" prev="${{words[CURRENT-1]}}" line="" offer="" value="" skip="" i
  local -a typed; typed=("${{words[@]}}")
  case "$prev" in
{values}  esac
  if [[ -n "$value" ]]; then
    if [[ "$offer" == "@file" ]]; then _files; else compadd -- ${{=offer}}; fi
    return
  fi
  for (( i = 2; i < CURRENT; i++ )); do
    if [[ -n "$skip" ]]; then skip=""; continue; fi
    case "${{typed[i]}}" in
      {flags}) skip=1 ;;
      -*) ;;
      *) _fleetctl_known "${{line:+$line }}${{typed[i]}}" && line="${{line:+$line }}${{typed[i]}}" ;;
    esac
  done
  local found; found="$(_fleetctl_words "$line")"
  if [[ "$cur" == -* ]]; then found="$found {globals}"; fi
  compadd -- ${{=found}}
}}
_fleetctl_known() {{ [[ -n "$(_fleetctl_words "$1")" ]]; }}
_fleetctl_words() {{
  local words=""
  case "$1" in
{rows}  esac
  print -r -- "$words"
}}
compdef _fleetctl fleetctl
)SH",
                     fmt::arg("values", value_rows(known, "    ", "offer=\"@file\"")), fmt::arg("flags", flags_with_values(known, "|")),
                     fmt::arg("globals", words_of(global_names())), fmt::arg("rows", case_rows(known, "    ")));
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (auto const c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "'";
}

std::string fish_flag(Option const& option, std::string const& condition) {
  std::string out = "complete -c fleetctl" + (condition.empty() ? "" : " -n " + fish_quoted(condition));
  for (auto const& name : names_of(option)) out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  if (option.kind != Option::Kind::flag) out += " -r";
  if (!option.choices.empty()) out += " -f -a " + fish_quoted(fmt::format("{}", fmt::join(option.choices, " ")));
  return out + " -d " + fish_quoted(option.about) + "\n";
}

std::string fish_script(CommandTree const& known) {
  auto out = fmt::format(R"SH(# fish completion for fleetctl:  fleetctl completion fish | source
function __fleetctl_line
  set -l typed
  set -l skip 0
  set -l given (commandline -opc)
  set -e given[1]
  for word in $given
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
      case {flags}
        set skip 1
      case '-*'
      case '*'
        set -a typed $word
    end
  end
  echo "$typed"
end
function __fleetctl_in
  set -l line (__fleetctl_line)
  test "$line" = "$argv"
end
function __fleetctl_at
  set -l line (__fleetctl_line)
  string match -q -- "$argv *" "$line "
end
complete -c fleetctl -f
)SH",
                         fmt::arg("flags", flags_with_values(known, " ")));
  for (auto const& option : global_options()) out += fish_flag(option, "");
  std::set<std::string> commands;
  for (auto const& command : known.commands) commands.emplace(command.path);
  for (auto const& [path, words] : next_words(known))
    if (!commands.contains(path)) out += fmt::format("complete -c fleetctl -n {} -a {}\n", fish_quoted("__fleetctl_in " + path), fish_quoted(words_of(words)));
  for (auto const& command : known.commands)
    for (auto const& option : options_of(command))
      if (option.name.front() == '-') out += fish_flag(option, "__fleetctl_at " + std::string(command.path));
      else if (!option.choices.empty())
        out += fmt::format("complete -c fleetctl -n {} -a {}\n", fish_quoted("__fleetctl_in " + std::string(command.path)),
                           fish_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
  return out;
}

}  // namespace

std::string completion_script(CommandTree const& known, std::string_view shell) {
  if (shell == "zsh") return zsh_script(known);
  return shell == "fish" ? fish_script(known) : bash_script(known);
}

}  // namespace fleet::cli
