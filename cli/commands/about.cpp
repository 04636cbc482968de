#include "cli/args/completion.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"

#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Shape const& identity_shape() {
  static Shape const shape{
      "token", "name", {{"NAME", "name"}, {"ROLE", "role"}, {"MODEL", "model"}, {"SELECTOR", "selector"}, {"EXPIRES", "expires_at", Form::time}}};
  return shape;
}

Result<int> auth_status(Session& session, Arguments const&) { return show(session, Route("/auth/status"), identity_shape()); }

Result<int> version(Session& session, Arguments const&) {
  if (session.for_people() || session.format() == Format::name) session.data("fleetctl " FLEET_VERSION "\n");
  else show_json(session, json::object{{"version", FLEET_VERSION}});
  return 0;
}

Result<int> completion(Session& session, Arguments const& arguments) {
  session.data(completion_script(command_tree(), arguments.text("SHELL")));
  return 0;
}

}  // namespace

std::vector<Command> const& about_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"auth status", "who the server takes you for, and what you may do", "auth status", auth_status},
      {"version", "this program's version", "version -o json", version},
      {"completion",
       "a script that completes commands and flags",
       "completion bash > /etc/bash_completion.d/fleetctl",
       completion,
       {{argument, "SHELL", "", "bash, zsh or fish", false, {"bash", "zsh", "fish"}}}},
  };
  return rows;
}

}  // namespace fleet::cli
