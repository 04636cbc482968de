#include "cli/client/settings.hpp"

#include <algorithm>
#include <vector>

namespace fleet::cli {
namespace {

constexpr int kFoldersMax = 64;

enum class Rank { flag, environment, folder, person };

/// One place that may say something, in order of rank.
struct Layer {
  Rank rank;
  std::string from;
  Site site;
  std::string token;
};

struct Files {
  std::optional<ConfigFile> folder, person;
};

Result<std::optional<ConfigFile>> load_if_there(Fs& fs, std::string const& path) {
  auto config = load_config(fs, path);
  if (config) return std::optional<ConfigFile>(std::move(*config));
  if (config.error().kind == Kind::not_found) return std::optional<ConfigFile>();
  return config.error();
}

Result<std::optional<ConfigFile>> load_folder_config(Surroundings const& around) {
  auto folder = around.folder;
  for (int i = 0; i < kFoldersMax && !folder.empty() && folder != "."; ++i) {
    FLEET_TRY(auto found, load_if_there(around.fs, absolute_path(folder, ".fleetctl.json")));
    if (found) return found;
    if (folder == "/") break;
    folder = parent_folder(folder);
  }
  return std::optional<ConfigFile>();
}

/// A context by name, with the rank of the file it is written in: that, not who named it, says whose token it is.
std::optional<Layer> find_context(Files const& files, std::string const& name) {
  auto const in = [&name](std::optional<ConfigFile> const& file, Rank rank) -> std::optional<Layer> {
    if (!file || !file->contexts.contains(name)) return std::nullopt;
    return Layer{rank, "context " + name, file->contexts.at(name), ""};
  };
  auto found = in(files.folder, Rank::folder);
  return found ? found : in(files.person, Rank::person);
}

std::string known_contexts(Files const& files) {
  std::string names;
  for (auto const* file : {&files.folder, &files.person})
    if (*file)
      for (auto const& [name, site] : (*file)->contexts) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// Puts the layer of a context behind the layer that named it.
Result<void> add_context(std::vector<Layer>& layers, Files const& files, std::string const& name, std::string const& by) {
  auto found = find_context(files, name);
  if (!found) {
    auto const known = known_contexts(files);
    return Error{Kind::not_found, "unknown_context", "no context `" + name + "` (named by " + by + ")",
                 known.empty() ? "add one: fleetctl context add " + name + " --server URL --ca FILE" : "known: " + known};
  }
  found->from += " (" + by + ")";
  layers.push_back(std::move(*found));
  return {};
}

std::string variable(Surroundings const& around, std::string const& name) { return around.environment(name).value_or(""); }

/// Whether the token of a layer is meant for the server. Where a folder's file names it, a person's token goes there if it belongs to that server, one of
/// the environment if the environment or the person's config names the same.
bool may_use_token(std::vector<Layer> const& layers, Layer const& layer, std::string const& server, Rank server_rank) {
  if (server_rank != Rank::folder) return true;
  if (layer.rank == Rank::person) return layer.site.server == server;
  if (layer.rank != Rank::environment) return true;
  return std::any_of(layers.begin(), layers.end(),
                     [&](Layer const& one) { return (one.rank == Rank::environment || one.rank == Rank::person) && one.site.server == server; });
}

Result<Settings> pick(std::vector<Layer> const& layers) {
  Settings settings;
  auto server_rank = Rank::flag;
  for (auto const& layer : layers) {
    if (layer.site.server.empty()) continue;
    settings.server = {layer.site.server, layer.from};
    server_rank = layer.rank;
    break;
  }
  for (auto const& layer : layers) {
    if (settings.ca.value.empty() && !layer.site.ca.empty()) settings.ca = {layer.site.ca, layer.from};
    if (!settings.token.value.empty() || !settings.token_file.value.empty()) continue;
    if (layer.token.empty() && layer.site.token_file.empty()) continue;
    if (!may_use_token(layers, layer, settings.server.value, server_rank)) {
      if (layer.rank != Rank::environment) continue;
      return Error{Kind::unauthenticated, "token_of_another_server",
                   "the token of the environment is not sent to " + settings.server.value + ", which only " + settings.server.from + " names",
                   "if it is the server you mean: export FLEETCTL_SERVER=" + settings.server.value};
    }
    // FLEETCTL_TOKEN stands before FLEETCTL_TOKEN_FILE.
    if (!layer.token.empty()) settings.token = {layer.token, layer.from};
    else if (!layer.site.token_file.empty()) settings.token_file = {layer.site.token_file, layer.from};
  }
  return settings;
}

}  // namespace

std::optional<std::string> user_config_path(Environment const& environment) {
  if (auto const xdg = environment("XDG_CONFIG_HOME"); xdg && !xdg->empty()) return *xdg + "/fleetctl/config.json";
  if (auto const home = environment("HOME"); home && !home->empty()) return *home + "/.config/fleetctl/config.json";
  return std::nullopt;
}

Result<ConfigFile> load_user_config(Surroundings const& around) {
  auto const path = user_config_path(around.environment);
  if (!path) return Error{Kind::unavailable, "no_home", "neither XDG_CONFIG_HOME nor HOME is set", "set XDG_CONFIG_HOME to a folder of yours"};
  FLEET_TRY(auto found, load_if_there(around.fs, *path));
  if (found) return *found;
  ConfigFile fresh;
  fresh.path = *path;
  return fresh;
}

Result<Settings> resolve_settings(SiteFlags const& flags, Surroundings const& around) {
  Files files;
  FLEET_TRY(files.folder, load_folder_config(around));
  if (auto const path = user_config_path(around.environment)) {
    FLEET_TRY(files.person, load_if_there(around.fs, *path));
  }
  std::vector<Layer> layers;
  Setting context;
  auto const add = [&](Rank rank, std::string const& from, Site const& site, std::string const& token, std::string const& named) -> Result<void> {
    layers.push_back({rank, from, site, token});
    if (context.value.empty() && !named.empty()) {
      FLEET_CHECK(add_context(layers, files, named, from));
      context = {named, from};
    }
    return {};
  };
  FLEET_CHECK(add(Rank::flag, "flag", {flags.server, flags.ca, flags.token_file}, "", flags.context));
  Site const from_environment{variable(around, "FLEETCTL_SERVER"), variable(around, "FLEETCTL_CA"), variable(around, "FLEETCTL_TOKEN_FILE")};
  FLEET_CHECK(add(Rank::environment, "environment", from_environment, variable(around, "FLEETCTL_TOKEN"), variable(around, "FLEETCTL_CONTEXT")));
  if (files.folder) FLEET_CHECK(add(Rank::folder, files.folder->path, files.folder->direct, "", files.folder->context));
  if (files.person) FLEET_CHECK(add(Rank::person, files.person->path, files.person->direct, "", files.person->context));
  FLEET_TRY(auto settings, pick(layers));
  settings.context = context;
  return settings;
}

}  // namespace fleet::cli
