#pragma once

#include "cli/client/config_file.hpp"
#include "cli/client/console.hpp"

#include <optional>
#include <string>

namespace fleet::cli {

/// What the flags say; empty: not given.
struct SiteFlags {
  std::string server, ca, token_file, context;
};

/// One setting and where it was said, for messages.
struct Setting {
  std::string value;
  std::string from;
};

struct Settings {
  Setting server, ca, token_file, context;
  Setting token;  ///< from the environment; wins over a token_file of a lower rank
};

/// Where a person's own config file is; nothing without XDG_CONFIG_HOME and HOME.
[[nodiscard]] std::optional<std::string> user_config_path(Environment const& environment);
/// The person's own config, empty where there is none yet. @errors bad_input, unavailable (no home)
[[nodiscard]] Result<ConfigFile> load_user_config(Surroundings const& around);

/// Each setting from the first that has it: flag, environment, `.fleetctl.json` in the folder or above, the person's own config.
/// A context counts where it is named. One exception guards the token: where a folder's file names the server, the token_file
/// of the person's own config is used only if it belongs to that same server, and a token of the environment only if the environment
/// or the person's config names that server, too, so that a foreign folder cannot collect tokens.
/// @errors not_found (an unknown context), bad_input (a config file that cannot be read), unauthenticated (code `token_of_another_server`)
[[nodiscard]] Result<Settings> resolve_settings(SiteFlags const& flags, Surroundings const& around);

}  // namespace fleet::cli
