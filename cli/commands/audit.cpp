#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"

namespace fleet::commands {
namespace {

Result<int> list_audit(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/audit"), audit_shape()); }

}  // namespace

std::vector<Command> const& audit_commands() {
  static std::vector<Command> const rows{
      {"audit list", "who did what and why, oldest first", "audit list -o jsonl > audit.jsonl", list_audit, {limit_option()}},
  };
  return rows;
}

}  // namespace fleet::commands
