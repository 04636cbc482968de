#include "cli/commands/policy_file.hpp"

#include "core/wire/json.hpp"
#include "core/wire/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::size_t kPolicyBytesMax = 256 * 1024;
constexpr auto kPresets = std::to_array<std::string_view>({"cautious", "standard", "fast", "small-fleet"});

}  // namespace

Result<json::value> read_policy(Fs& fs, std::string const& text) {
  if (std::find(kPresets.begin(), kPresets.end(), text) != kPresets.end()) return json::value(text);
  auto const yaml = fs.read(text, kPolicyBytesMax);
  if (!yaml) {
    auto error = yaml.error();
    if (error.kind == Kind::not_found) error.hint = fmt::format("a policy is a file or one of {}", fmt::join(kPresets, ", "));
    return error;
  }
  auto const as_json = wire::yaml_to_json(*yaml, kPolicyBytesMax);
  if (as_json) return wire::parse_json(*as_json, kPolicyBytesMax);
  auto error = as_json.error();
  error.detail = text + ": " + error.detail;
  return error;
}

}  // namespace fleet::cli
