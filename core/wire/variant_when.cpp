#include "core/wire/variant_when.hpp"

#include "core/wire/handler_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::size_t kNamesMax = 8, kNameMax = 32;
constexpr double kDegreesMax = 200;

/// `30%`, or 30.
int read_percent(ObjectReader& reader, std::string_view key) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return 0;
  std::int64_t percent = 0;
  if (value->is_string()) {
    auto const text = reader.text(key, 8, {});
    auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), percent);
    if (fault != std::errc{} || std::string_view(end) != "%") percent = 0;
  } else {
    percent = reader.integer(key, 1, 100, 1);
  }
  if (percent >= 1 && percent <= 100) return static_cast<int>(percent);
  reader.fault(key, "expected a share of the battery, 1% to 100%");
  return 0;
}

bool is_unknown(json::value const& value) {
  constexpr auto kKnown = std::to_array<std::string_view>({"battery_below", "charging", "temperature_above"});
  auto const* const object = value.if_object();
  return object != nullptr && std::any_of(object->begin(), object->end(), [&](auto const& member) { return std::find(kKnown.begin(), kKnown.end(), std::string_view(member.key())) == kKnown.end(); });
}

VariantWhen read_when(json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  VariantWhen when;
  when.battery_below = read_percent(reader, "battery_below");
  if (reader.find("charging") != nullptr) when.charging = reader.boolean("charging", false);
  if (reader.find("temperature_above") != nullptr) when.temperature_above = reader.number("temperature_above", 0);
  when.is_unknown = !strict && is_unknown(value);
  if (when.temperature_above && !(*when.temperature_above >= -kDegreesMax && *when.temperature_above <= kDegreesMax))
    reader.fault("temperature_above", fmt::format("degrees Celsius, from {} to {}", -kDegreesMax, kDegreesMax));
  if (when.battery_below == 0 && !when.charging && !when.temperature_above && !when.is_unknown)
    reader.fault("", "at least one of battery_below, charging, temperature_above is required");
  if (strict) reader.refuse_unknown();
  return when;
}

}  // namespace

bool is_variant_name(std::string_view name) {
  auto const fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  return !name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), fits);
}

std::map<std::string, VariantWhen> read_whens(json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  std::map<std::string, VariantWhen> out;
  if (!reader.valid()) return out;
  auto const& names = value.get_object();
  if (names.size() > kNamesMax) faults.push_back({pointer, fmt::format("{} variants, at most {} are taken", names.size(), kNamesMax)});
  for (auto const& [key, inner] : names) {
    std::string const name(key);
    auto const where = pointer + "/" + name.substr(0, kNameMax);
    if (!is_variant_name(name)) faults.push_back({where, fmt::format("a variant's name is [a-z0-9_-]{{1,{}}}", kNameMax)});
    ObjectReader one(inner, where, faults);
    auto const* const when = one.find("when");
    if (when == nullptr) one.fault("when", "is required");
    else out.emplace(name, read_when(*when, where + "/when", strict, faults));
    if (strict) one.refuse_unknown();
  }
  return out;
}

json::object whens_json(std::map<std::string, VariantWhen> const& whens) {
  json::object out;
  for (auto const& [name, when] : whens) {
    json::object one;
    if (when.battery_below > 0) one["battery_below"] = when.battery_below;
    if (when.charging) one["charging"] = *when.charging;
    if (when.temperature_above) one["temperature_above"] = *when.temperature_above;
    if (when.is_unknown) one["unknown"] = true;
    out[name] = json::object{{"when", std::move(one)}};
  }
  return out;
}

void check_variant_names(Release const& release, bool strict, std::vector<FieldError>& faults) {
  std::set<std::string> seen, plain, used;
  for (auto const& variant : release.variants)
    for (auto const& hardware : variant.hardware)
      if (variant.name.empty()) plain.insert(hardware);
  for (std::size_t i = 0; i < release.variants.size(); ++i) {
    auto const& variant = release.variants[i];
    auto const pointer = fmt::format("/variants/{}", i);
    for (auto const& hardware : variant.hardware) {
      auto const again = variant.name.empty() ? fmt::format("'{}' has a variant already", hardware) : fmt::format("'{}' has a variant '{}' already", hardware, variant.name);
      if (!seen.insert(hardware + "/" + variant.name).second) faults.push_back({pointer + "/hardware", again});
      if (!plain.contains(hardware)) faults.push_back({pointer + "/hardware", fmt::format("'{}' has no variant without a name, which runs when no other does", hardware)});
    }
    if (variant.name.empty()) continue;
    used.insert(variant.name);
    if (!is_variant_name(variant.name)) faults.push_back({pointer + "/name", fmt::format("a variant's name is [a-z0-9_-]{{1,{}}}", kNameMax)});
    if (!release.manifest.variants.contains(variant.name))
      faults.push_back({pointer + "/name", fmt::format("the manifest does not say when '{}' runs: variants: {{{}: {{when: {{battery_below: 30%}}}}}}", variant.name, variant.name)});
  }
  if (!strict) return;
  check_agent_release(release, faults);
  if (release.manifest.handler == kExecHandler && !release.manifest.variants.empty())
    faults.push_back({"/manifest/variants", "a program of the device's owner installs one variant alone (handler: exec)"});
  for (auto const& [name, when] : release.manifest.variants)
    if (!used.contains(name)) faults.push_back({"/manifest/variants/" + name, "there is no such variant: --variant HARDWARE/NAME=PATH"});
}

}  // namespace fleet::wire
