#include "cli/args/parser.hpp"

#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace fleet::cli {
namespace {

constexpr int kUsage = 2;
constexpr std::string_view kAbout = "Talks to a fleet server: publish releases, roll them out, watch devices.";
constexpr std::string_view kFooter =
    "Environment: FLEETCTL_SERVER, FLEETCTL_CA, FLEETCTL_TOKEN, FLEETCTL_TOKEN_FILE, FLEETCTL_CONTEXT.\n"
    "Order: flag, environment, .fleetctl.json in the folder or above, $XDG_CONFIG_HOME/fleetctl/config.json.\n\n"
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 auth or signature, 5 rollout failed or rolled back, 6 conflict,\n"
    "7 time-out, 8 unavailable, 9 waits for a person, 130 interrupted.\n\n"
    "Example:\n  fleetctl rollout create --release reader@2.0.0 -l site=lab --policy standard --start";

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> words;
  while (!path.empty()) {
    auto const end = std::min(path.find(' '), path.size());
    words.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return words;
}

bool is_argument(Option const& option) { return option.name.front() != '-'; }

/// Adds one row to CLI11. Values arrive as they were written, without CLI11's conversions, which read `{}` and `[]` as lists.
void add_option(CLI::App& app, Option const& row, Arguments& into) {
  std::string const key(row.key());
  if (row.kind == Option::Kind::flag) {
    app.add_flag_callback(
        std::string(row.name), [&into, key] { into.set(key, {"true"}); }, std::string(row.about));
    return;
  }
  auto const take = [&into, key](CLI::results_t const& values) {
    into.set(key, values);
    return true;
  };
  auto* const option = app.add_option(std::string(row.name), CLI::callback_t(take), std::string(row.about));
  option->type_name(is_argument(row) ? "" : std::string(row.value));
  option->required(row.required || row.kind == Option::Kind::argument || row.kind == Option::Kind::arguments);
  if (row.kind == Option::Kind::values) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
  if (row.kind == Option::Kind::arguments) option->expected(1, 10'000)->allow_extra_args();
  if (!row.choices.empty()) {
    std::set<std::string> choices;
    for (auto const choice : row.choices) choices.emplace(choice);
    option->check(CLI::IsMember(choices));
  }
}

std::string footer_of(Command const& command) {
  std::string out = "Example:\n";
  auto const example = std::string(command.example);
  for (std::size_t start = 0; start <= example.size();) {
    auto const end = std::min(example.find('\n', start), example.size());
    auto const line = example.substr(start, end - start);
    out += (line.starts_with(' ') ? "  " : "  fleetctl ") + line + "\n";
    start = end + 1;
  }
  return out + "\nFlags of every command: fleetctl --help";
}

/// The tree of CLI11's apps, and where each command's arguments go.
class Tree {
public:
  explicit Tree(CommandTree const& known) : root_(std::string(kAbout), "fleetctl") {
    root_.require_subcommand(1);
    root_.footer(std::string(kFooter));
    root_.get_formatter()->column_width(34);
    for (auto const& option : global_options()) add_option(root_, option, globals_);
    for (auto const& noun : known.nouns) {
      auto* const app = node(noun.path);
      app->description(std::string(noun.about));
      app->require_subcommand(1);
    }
    for (auto const& command : known.commands) {
      auto* const app = node(command.path);
      app->description(std::string(command.about));
      app->require_subcommand(0);  // `cost` is a command, and has some below it
      app->footer(footer_of(command));
      auto& own = own_[&command];
      for (auto const& option : options_of(command)) add_option(*app, option, own);
      leaves_[app] = &command;
    }
  }
  Tree(Tree const&) = delete;

  [[nodiscard]] CLI::App& root() { return root_; }
  [[nodiscard]] CLI::App* deepest() {
    auto* app = &root_;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    return app;
  }
  [[nodiscard]] Command const* command(CLI::App* app) const { return leaves_.contains(app) ? leaves_.at(app) : nullptr; }
  /// The command's own arguments and the global ones, each by its key.
  [[nodiscard]] Arguments arguments(Command const& command) {
    auto all = own_.at(&command);
    for (auto const& option : global_options())
      if (globals_.has(option.key())) all.set(option.key(), globals_.texts(option.key()));
    return all;
  }

private:
  CLI::App* node(std::string_view path) {
    auto* app = &root_;
    std::string so_far;
    for (auto const& word : split(path)) {
      so_far += " " + word;
      auto& next = nodes_[so_far];
      if (next == nullptr) {
        next = app->add_subcommand(word, "");
        next->fallthrough();
      }
      app = next;
    }
    return app;
  }

  CLI::App root_;
  std::map<std::string, CLI::App*> nodes_;
  Arguments globals_;
  std::map<Command const*, Arguments> own_;
  std::map<CLI::App*, Command const*> leaves_;
};

std::vector<std::string> children_of(CLI::App const& app) {
  std::vector<std::string> names;
  for (auto const* child : app.get_subcommands([](CLI::App const*) { return true; })) names.push_back(child->get_name());
  return names;
}

std::vector<std::string> flags_of(CLI::App const& app) {
  std::vector<std::string> names;
  for (auto const* at = &app; at != nullptr; at = at->get_parent())
    for (auto const* option : at->get_options())
      for (auto const& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string path_of(CLI::App const& app) { return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name(); }

/// A slip in the words that were not taken: an unknown command or flag, with what is near.
std::string slip(CLI::App const& app, std::vector<std::string> const& words, bool is_noun) {
  for (auto const& word : words) {
    if (word == "--") continue;
    if (word.starts_with("-") && word != "-") {
      auto const name = word.substr(0, word.find('='));
      auto const near = nearest(name, flags_of(app));
      return "`" + path_of(app) + "` has no flag " + name + (near.empty() ? "" : "\nhint: did you mean " + near + "?");
    }
    if (is_noun || !children_of(app).empty()) {
      auto const near = nearest(word, children_of(app));
      return "no command `" + path_of(app) + " " + word + "`" + (near.empty() ? "" : "\nhint: did you mean `" + path_of(app) + " " + near + "`?");
    }
    return "`" + path_of(app) + "` takes no `" + word + "`";
  }
  return {};
}

Parsed refused(Tree& tree, CLI::ParseError const& error) {
  auto* const app = tree.deepest();
  auto const is_noun = tree.command(app) == nullptr;
  auto text = slip(*app, tree.root().remaining(true), is_noun);
  if (text.empty() && is_noun) text = "`" + path_of(*app) + "` needs a command: " + fmt::format("{}", fmt::join(children_of(*app), ", "));
  if (text.empty()) text = error.what();
  Parsed parsed;
  parsed.text = "error: " + render::safe_lines(text) + "\nSee `" + path_of(*app) + " --help`.\n";
  parsed.exit = kUsage;
  return parsed;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), two_before;
  std::iota(before.begin(), before.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], two_before[j - 2] + 1);
    }
    two_before = before;
    before = row;
  }
  return before.back();
}

}  // namespace

std::string nearest(std::string_view word, std::vector<std::string> const& known) {
  std::string best;
  auto best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (auto const& candidate : known) {
    if (word.size() >= 3 && candidate.starts_with(word)) return candidate;
    if (auto const d = distance(word, candidate); d < best_distance) best = candidate, best_distance = d;
  }
  return best;
}

Parsed parse(CommandTree const& known, std::vector<std::string> const& words) {
  Tree tree(known);
  std::vector<std::string> backwards(words.rbegin(), words.rend());  // as CLI11 wants them
  try {
    tree.root().parse(std::move(backwards));
  } catch (CLI::CallForHelp const&) {
    Parsed help;
    auto* const app = tree.deepest();
    help.text = app->help(app->get_parent() == nullptr ? "" : path_of(*app->get_parent()));
    return help;
  } catch (CLI::ParseError const& error) {
    return refused(tree, error);
  }
  Parsed parsed;
  parsed.command = tree.command(tree.deepest());
  parsed.arguments = tree.arguments(*parsed.command);
  return parsed;
}

}  // namespace fleet::cli
