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

/// Where text is wanted.
constexpr auto kTexts = std::to_array<std::string_view>({"/strata/*", "/windows/*/zone", "/windows/*/from", "/windows/*/to", "/limits/per", "/ab/against", "/freeze/*/from",
                                                          "/freeze/*/to", "/start_at", "/gates/absolute/*/metric", "/gates/metrics/*/name", "/gates/drift/metrics/*"});

}  // namespace

Result<json::value> read_policy(Session& session, std::string const& text) {
  if (std::find(kPresets.begin(), kPresets.end(), text) != kPresets.end()) return json::value(text);
  auto const yaml = session.around().fs.read(text, kPolicyBytesMax);
  if (!yaml) {
    auto error = yaml.error();
    if (error.kind == Kind::not_found) error.hint = fmt::format("a policy is a file or one of {}", fmt::join(kPresets, ", "));
    return error;
  }
  auto const document = wire::read_yaml(*yaml, kPolicyBytesMax, kTexts);
  if (!document) return wire::in_file(document.error(), text);
  session.read_from([document = *document, text](Error error) { return document.located(std::move(error), text, "/policy"); });
  return wire::parse_json(document->json, kPolicyBytesMax);
}

}  // namespace fleet::cli
