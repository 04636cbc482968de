#include "agent/commands/commands.hpp"
#include "core/bundle/tar.hpp"
#include "core/wire/json.hpp"
#include "core/wire/yaml.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::size_t kConfigMax = 64 * 1024;
constexpr std::size_t kFileMax = 8 * 1024 * 1024;
constexpr std::string_view kLeftOut = "(left out)";

/// `https://user:password@host` without what stands before the host.
std::string without_user(std::string_view text) {
  auto const scheme = text.find("://");
  if (scheme == std::string_view::npos) return std::string(text);
  auto const host = scheme + 3;
  auto const end = text.find_first_of("/?#", host);
  auto const at = text.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < host) return std::string(text);
  return std::string(text.substr(0, host)).append(kLeftOut).append(text.substr(at));
}

void leave_out_secrets(json::value& value, std::string_view key) {
  if (auto* const text = value.if_string()) *text = without_user(*text);
  if (auto* const list = value.if_array())
    for (auto& item : *list) leave_out_secrets(item, key);
  if (auto* const object = value.if_object())
    for (auto& [name, inner] : *object) {
      if (key == "environment") inner = kLeftOut;
      else leave_out_secrets(inner, name);
    }
}

/// A file that cannot be read is not quoted: what is wrong with it may be a quote before a password.
std::string config_text(std::string_view yaml) {
  auto const document = wire::read_yaml(yaml, kConfigMax);
  if (!document) return document.error().detail + "\n";
  auto value = wire::parse_json(document->json, kConfigMax);
  if (!value) return value.error().detail + "\n";
  leave_out_secrets(*value, {});
  return json::serialize(*value) + "\n";
}

/// Its last whole lines, where it is too long: what happened last is what is asked for.
std::string_view last_lines(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  auto const rest = text.substr(text.size() - bytes_max);
  auto const line = rest.find('\n');
  return line == std::string_view::npos ? rest : rest.substr(line + 1);
}

}  // namespace

Result<std::string> collected(Fs& fs, Layout const& layout, std::string const& status, std::size_t bytes_max) {
  std::string content;
  auto const add = [&](std::string_view name, std::string_view text) -> Result<void> {
    constexpr std::size_t kAround = 2 * bundle::kTarBlock + bundle::kTarEndBytes;  // its header, what fills its last block, and the archive's end
    auto const room = bytes_max - std::min(bytes_max, content.size() + kAround);
    FLEET_TRY(auto const entry, bundle::tar_file(name, last_lines(text, room), 0600));
    content += entry;
    return {};
  };
  FLEET_CHECK(add("status.json", status));
  if (auto const yaml = fs.read(layout.config(), kConfigMax)) FLEET_CHECK(add("agent.json", config_text(*yaml)));
  for (auto const& [name, path] : {std::pair{"directive.json", layout.directive()}, std::pair{"journal", layout.journal()}})
    if (auto const text = fs.read(path, kFileMax)) FLEET_CHECK(add(name, *text));
  content.append(bundle::kTarEndBytes, '\0');
  return content;
}

Result<void> collect(Machine const& machine, Layout const& layout, std::string const& file) {
  FLEET_TRY(auto const status, status_of(machine, layout));
  FLEET_TRY(auto const content, collected(machine.fs, layout, status, 4 * kFileMax));
  return machine.fs.replace(file, content, 0600);  // what it holds, others may not read
}

}  // namespace fleet::agent
