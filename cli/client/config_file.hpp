#pragma once

#include "core/base/fs.hpp"
#include "core/base/result.hpp"

#include <map>
#include <string>

namespace fleet::cli {

/// A server and what is needed to speak to it.
struct Site {
  std::string server;      ///< https://host:port
  std::string ca;          ///< path of a PEM file
  std::string token_file;  ///< path; secrets are never in a config file
};

/// `config.json` of a person or `.fleetctl.json` of a folder:
/// `{"context":"lab","contexts":{"lab":{"server","ca","token_file"}},"server","ca","token_file"}`, every member optional.
struct ConfigFile {
  std::string path;
  Site direct;
  std::string context;
  std::map<std::string, Site> contexts;
};

/// Paths in it are made absolute by the file's folder. @errors not_found, bad_input (names the file and the members that are wrong)
[[nodiscard]] Result<ConfigFile> load_config(Fs& fs, std::string const& path);
/// Writes it with mode 0600, making its folder.
[[nodiscard]] Result<void> save_config(Fs& fs, ConfigFile const& config);

/// `path` as it is when absolute, else below `folder`.
[[nodiscard]] std::string absolute_path(std::string const& folder, std::string const& path);
/// What is before the last `/`; `/` for a file of the root.
[[nodiscard]] std::string parent_folder(std::string const& path);

}  // namespace fleet::cli
