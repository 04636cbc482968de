#include "server/admin/node_keys.hpp"

#include "core/wire/json.hpp"
#include "server/admin/passphrase.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::admin {
namespace {

namespace json = boost::json;

constexpr std::size_t kFilesMax = 10'000, kNameMax = 128, kTextMax = 64 * 1024;
constexpr std::string_view kFormat = "fleet-node-keys 1", kDir = "keys/", kSuffix = ".key";

/// Of a key ring's file: a role is of letters, digits and a few signs, and never a path.
bool is_role_file(std::string_view name) {
  if (!name.starts_with(kDir) || !name.ends_with(kSuffix)) return false;
  auto const role = name.substr(kDir.size(), name.size() - kDir.size() - kSuffix.size());
  return !role.empty() && role.front() != '.' &&
         std::all_of(role.begin(), role.end(), [](char one) { return (one >= 'a' && one <= 'z') || (one >= '0' && one <= '9') || one == '-' || one == '_' || one == '.'; });
}

}  // namespace

Result<NodeKeys> read_node_keys(Fs& fs, crypto::KeyFiles const& files, Layout const& layout) {
  NodeKeys out;
  FLEET_TRY(out.ca, fs.read(layout.ca_certificate(), kTextMax));
  FLEET_TRY(auto const paths, list_keys(fs, layout));
  for (auto const& path : paths) {
    if (path == layout.server_key() || !path.ends_with(kSuffix)) continue;
    FLEET_TRY(out.files[path.substr(layout.dir.size() + 1)], files.read(path));
  }
  return out;
}

std::string encode(NodeKeys const& keys) {
  json::object files;
  for (auto const& [name, text] : keys.files) files[name] = text;
  return json::serialize(json::object{{"format", kFormat}, {"ca", keys.ca}, {"files", std::move(files)}});
}

Result<NodeKeys> decode_node_keys(std::string_view text) {
  Error const bad{Kind::bad_input, "bad_node_keys", "these are no node's keys", "make them: fleet-server node export-keys"};
  auto const value = wire::parse_json(text, kNodeKeysMax);
  if (!value) return bad;
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*value, "", faults);
  bool const known = reader.required_text("format", 64) == kFormat;
  NodeKeys out{reader.required_text("ca", kTextMax), {}};
  for (auto& [name, content] : reader.text_map("files", kFilesMax, kTextMax)) out.files.emplace(name, std::move(content));
  reader.refuse_unknown();
  bool const named = std::all_of(out.files.begin(), out.files.end(), [](auto const& one) {
    return one.first.size() <= kNameMax && (one.first == "ca.key" || one.first == "ca-next.key" || is_role_file(one.first));
  });
  if (!faults.empty() || !known || !named || !out.files.contains("ca.key")) return bad;
  return out;
}

}  // namespace fleet::admin
