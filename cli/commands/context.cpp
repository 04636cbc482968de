#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"

#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Shape const& context_shape() {
  static Shape const shape{
      "context", "name", {{"NAME", "name"}, {"CURRENT", "current", Form::yes_no}, {"SERVER", "server"}, {"CA", "ca"}, {"TOKEN FILE", "token_file"}}};
  return shape;
}

json::object described(ConfigFile const& config, std::string const& name) {
  auto const& site = config.contexts.at(name);
  return {{"name", name}, {"current", name == config.context}, {"server", site.server}, {"ca", site.ca}, {"token_file", site.token_file}};
}

Result<int> add_context(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  auto const& around = session.around();
  auto const& flags = session.flags();
  if (flags.server.empty() || flags.ca.empty())
    return Error{Kind::bad_input, "bad_argument", "a context needs --server URL and --ca FILE",
                 "fleetctl context add lab --server https://HOST:8443 --ca ca.pem"};
  Site const site{flags.server, absolute_path(around.folder, flags.ca), absolute_path(around.folder, flags.token_file)};
  for (auto const& path : {site.ca, site.token_file})
    if (!path.empty()) FLEET_CHECK(around.fs.info(path));
  FLEET_TRY(auto config, load_user_config(around));
  auto const replaced = config.contexts.contains(name);
  config.contexts[name] = site;
  if (config.context.empty()) config.context = name;
  FLEET_CHECK(save_config(around.fs, config));
  return show_done(
      session, described(config, name), context_shape(),
      "context " + name + (replaced ? " is replaced" : " is added") + (config.context == name ? ", and is the current one" : "") + " (" + config.path + ")");
}

Result<int> use_context(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  FLEET_TRY(auto config, load_user_config(session.around()));
  if (!config.contexts.contains(name))
    return Error{Kind::not_found, "unknown_context", "no context `" + name + "` in " + config.path, "see `fleetctl context list`"};
  config.context = name;
  FLEET_CHECK(save_config(session.around().fs, config));
  return show_done(session, described(config, name), context_shape(), "context " + name + " is the current one");
}

Result<int> list_contexts(Session& session, Arguments const&) {
  FLEET_TRY(auto const config, load_user_config(session.around()));
  ListPrinter printer(session, context_shape());
  for (auto const& [name, site] : config.contexts) printer.add(described(config, name));
  printer.finish("");
  return 0;
}

}  // namespace

std::vector<Command> const& context_commands() {
  using enum Option::Kind;
  static Option const name{argument, "NAME", "", "of the context"};
  static std::vector<Command> const rows{
      {"context add", "keep a server under a name", "context add lab --server https://lab:8443 --ca ca.pem --token-file lab.token", add_context, {name}},
      {"context use", "make it the current one", "context use lab", use_context, {name}},
      {"context list", "servers by name", "context list", list_contexts},
  };
  return rows;
}

}  // namespace fleet::cli
