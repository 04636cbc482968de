#include "cli/client/config_file.hpp"

#include "cli/render/json.hpp"
#include "core/wire/json.hpp"

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::size_t kConfigBytesMax = 256 * 1024;
constexpr std::size_t kTextMax = 4096;

Site read_site(wire::ObjectReader& reader, std::string const& folder) {
  Site site;
  site.server = reader.text("server", kTextMax, "");
  site.ca = absolute_path(folder, reader.text("ca", kTextMax, ""));
  site.token_file = absolute_path(folder, reader.text("token_file", kTextMax, ""));
  return site;
}

void write_site(json::object& to, Site const& site) {
  if (!site.server.empty()) to["server"] = site.server;
  if (!site.ca.empty()) to["ca"] = site.ca;
  if (!site.token_file.empty()) to["token_file"] = site.token_file;
}

}  // namespace

std::string absolute_path(std::string const& folder, std::string const& path) {
  if (path.empty() || path.front() == '/') return path;
  return (folder == "/" ? "" : folder) + "/" + path;
}

std::string parent_folder(std::string const& path) {
  auto const slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Result<ConfigFile> load_config(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kConfigBytesMax));
  auto const in_file = [&path](Error error) {
    error.code = "bad_config";
    error.detail = path + ": " + error.detail;
    error.hint = "mend or remove the file; `fleetctl context add` writes a right one";
    return error;
  };
  auto const parsed = wire::parse_json(text, kConfigBytesMax);
  if (!parsed) return in_file(parsed.error());
  auto const folder = parent_folder(path);
  ConfigFile config;
  config.path = path;
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*parsed, "", faults);
  config.direct = read_site(reader, folder);
  config.context = reader.text("context", kTextMax, "");
  if (auto const* contexts = reader.find("contexts"); contexts != nullptr && contexts->is_object()) {
    for (auto const& [name, value] : contexts->get_object()) {
      wire::ObjectReader one(value, "/contexts/" + std::string(name), faults);
      config.contexts[std::string(name)] = read_site(one, folder);
      one.refuse_unknown();
    }
  } else if (contexts != nullptr) {
    reader.fault("contexts", "must be an object of names");
  }
  reader.refuse_unknown();
  if (auto const sound = wire::no_faults(faults, "config"); !sound) return in_file(sound.error());
  return config;
}

Result<void> save_config(Fs& fs, ConfigFile const& config) {
  json::object root;
  write_site(root, config.direct);
  if (!config.context.empty()) root["context"] = config.context;
  json::object contexts;
  for (auto const& [name, site] : config.contexts) write_site(contexts[name].emplace_object(), site);
  root["contexts"] = std::move(contexts);
  FLEET_CHECK(fs.make_dirs(parent_folder(config.path), 0700));
  return fs.replace(config.path, render::json_text(json::value(std::move(root)), 2) + "\n", 0600);
}

}  // namespace fleet::cli
