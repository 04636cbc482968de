#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"

namespace fleet::cli {
namespace {

Shape const& node_shape() {
  static Shape const shape{"node",
                           "id",
                           {{"ID", "id"},
                            {"HOST", "host"},
                            {"STATE", "state", Form::state},
                            {"SEEN", "seen_at", Form::time},
                            {"VERSION", "version"},
                            {"API", "api", Form::text, true},
                            {"DEVICES", "devices", Form::text, true},
                            {"JOINED", "joined_at", Form::time, true}}};
  return shape;
}

Result<int> list_nodes(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/nodes"), node_shape()); }

}  // namespace

std::vector<Command> const& node_commands() {
  static std::vector<Command> const rows{
      {"node list", "the servers of the fleet, and which of them leads", "node list", list_nodes},
  };
  return rows;
}

}  // namespace fleet::cli
