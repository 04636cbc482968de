#include "cli/commands/run.hpp"

#include "cli/args/parser.hpp"
#include "cli/client/session.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/render/text.hpp"

namespace fleet::cli {
namespace {

void tell(Session const& session, Error const& told) {
  auto& console = session.around().console;
  if (!session.for_people() && session.format() != Format::name) return console.err(session.problem(told) + "\n");
  auto const error = session.located(told);
  auto text = "error: " + error.detail + " (" + error.code + ")\n";
  for (auto const& one : error.errors) text += "  " + (one.pointer.empty() ? "/" : one.pointer) + ": " + one.detail + "\n";
  if (!error.hint.empty()) text += "hint: " + error.hint + "\n";
  console.err(render::safe_lines(text));
}

/// What must hold before a command runs at all.
Result<void> check_use(Command const& command, Session const& session) {
  auto const name = "`fleetctl " + std::string(command.path) + "`";
  if (!command.takes_selector && !session.selector().empty())
    return Error{Kind::bad_input, "selector_unused", name + " takes no --selector", "list what it selects with -o name, then run the command for each"};
  if (command.needs_reason && session.reason().empty())
    return Error{Kind::bad_input, "reason_required", name + " needs a reason", "add --reason TEXT; it is kept in the audit log"};
  return {};
}

Result<int> run_in(Session& session, Parsed const& parsed) {
  FLEET_CHECK(check_use(*parsed.command, session));
  return parsed.command->run(session, parsed.arguments);
}

}  // namespace

int run(std::vector<std::string> const& words, Surroundings const& around) {
  auto const parsed = parse(command_tree(), words);
  if (parsed.command == nullptr) {
    if (parsed.exit == 0) around.console.out(parsed.text);
    else around.console.err(parsed.text);
    return parsed.exit;
  }
  auto session = Session::create(around, parsed.arguments);
  if (!session) {
    around.console.err(render::safe_lines("error: " + session.error().detail) + "\n");
    return exit_code(session.error().kind);
  }
  auto const code = run_in(*session, parsed);
  if (code) return *code;
  tell(*session, code.error());
  return exit_code(code.error().kind);
}

}  // namespace fleet::cli
