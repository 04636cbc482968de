#include "cli/args/refs.hpp"

#include "core/base/bytes.hpp"
#include "core/base/names.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace fleet::cli {
namespace {

constexpr auto kRelations = std::to_array<std::string_view>({"finetune", "quantized", "adapter", "merge", "distilled", "converted"});

Error expected(std::string_view what, std::string_view form, std::string_view got) {
  return {Kind::bad_input, "bad_argument", fmt::format("{}: expected {}, got `{}`", what, form, got)};
}

}  // namespace

Result<ReleaseRef> parse_release(std::string_view text) {
  auto const at = text.find('@');
  if (at == std::string_view::npos) return expected("release", "MODEL@VERSION", text);
  ReleaseRef ref{std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
  FLEET_CHECK(check_model_name(ref.model));
  if (ref.version != "latest") FLEET_CHECK(check_version_name(ref.version));
  return ref;
}

Result<VariantArgument> parse_variant(std::string_view text) {
  auto const equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) return expected("--variant", "HARDWARE[+HARDWARE...][/NAME]=PATH", text);
  VariantArgument variant;
  variant.path = text.substr(equals + 1);
  auto names = text.substr(0, equals);
  if (auto const slash = names.find('/'); slash != std::string_view::npos) {
    variant.name = names.substr(slash + 1);
    names = names.substr(0, slash);
    if (!wire::is_variant_name(variant.name)) return expected("--variant", "HARDWARE/NAME=PATH with a name of a-z, 0-9, - and _", text);
  }
  while (true) {
    auto const plus = std::min(names.find('+'), names.size());
    auto const name = std::string(names.substr(0, plus));
    if (!check_id("hardware", name)) return expected("--variant", "a hardware name before each `+` and `=`", text);
    if (std::find(variant.hardware.begin(), variant.hardware.end(), name) != variant.hardware.end()) return expected("--variant", "each hardware once", text);
    variant.hardware.push_back(name);
    if (plus == names.size()) return variant;
    names.remove_prefix(plus + 1);
  }
}

Result<ParentArgument> parse_parent(std::string_view text) {
  auto const equals = text.find('=');
  auto const relation = equals == std::string_view::npos ? std::string_view{} : text.substr(equals + 1);
  if (std::find(kRelations.begin(), kRelations.end(), relation) == kRelations.end())
    return expected("--parent", fmt::format("MODEL@VERSION=RELATION with one of {}", fmt::join(kRelations, ", ")), text);
  FLEET_TRY(auto release, parse_release(text.substr(0, equals)));
  return ParentArgument{std::move(release), std::string(relation)};
}

Result<MemberArgument> parse_member(std::string_view text) {
  constexpr std::string_view kAfter = "after=";
  auto const colon = text.find(':');
  FLEET_TRY(auto release, parse_release(text.substr(0, colon)));
  MemberArgument out{std::move(release), {}};
  if (colon == std::string_view::npos) return out;
  auto names = text.substr(colon + 1);
  if (!names.starts_with(kAfter)) return expected("--member", "MODEL@VERSION[:after=MODEL,...]", text);
  names.remove_prefix(kAfter.size());
  while (true) {
    auto const comma = std::min(names.find(','), names.size());
    auto const name = std::string(names.substr(0, comma));
    if (!check_model_name(name)) return expected("--member", "names of models after `after=`", text);
    out.after.push_back(name);
    if (comma == names.size()) return out;
    names.remove_prefix(comma + 1);
  }
}

Result<DatasetArgument> parse_dataset(std::string_view text) {
  constexpr std::string_view kScheme = "=sha256:";
  auto const at = text.find(kScheme);
  if (at == std::string_view::npos || at == 0) return expected("--dataset", "NAME=sha256:HEX", text);
  auto const digest = Digest::parse(text.substr(at + kScheme.size()));
  if (!digest) return expected("--dataset", "NAME=sha256: and 64 lower-case hex characters", text);
  return DatasetArgument{std::string(text.substr(0, at)), digest->hex()};
}

Result<std::pair<std::string, double>> parse_metric(std::string_view text) {
  FLEET_TRY(auto const pair, parse_pair("--metric", text));
  double number = 0;
  auto const* const last = pair.second.data() + pair.second.size();
  auto const [end, fault] = std::from_chars(pair.second.data(), last, number);
  if (fault != std::errc{} || end != last || !std::isfinite(number)) return expected("--metric", "NAME=NUMBER", text);
  return std::pair(pair.first, number);
}

Result<std::pair<std::string, std::string>> parse_pair(std::string_view what, std::string_view text) {
  auto const equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return expected(what, "NAME=VALUE", text);
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

Result<std::pair<std::string, std::optional<std::string>>> parse_change(std::string_view what, std::string_view text) {
  if (text.find('=') == std::string_view::npos && text.size() > 1 && text.ends_with('-'))
    return std::pair(std::string(text.substr(0, text.size() - 1)), std::optional<std::string>());
  auto const pair = parse_pair(what, text);
  if (!pair) return expected(what, "NAME=VALUE to set or NAME- to remove", text);
  return std::pair(pair->first, std::optional<std::string>(pair->second));
}

Result<std::int64_t> parse_count(std::string_view what, std::string_view text, std::int64_t least) {
  std::int64_t number = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault == std::errc{} && end == text.data() + text.size() && number >= least) return number;
  return expected(what, fmt::format("a whole number from {}", least), text);
}

}  // namespace fleet::cli
