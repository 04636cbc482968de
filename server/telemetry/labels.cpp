#include "server/telemetry/labels.hpp"

#include "core/wire/json.hpp"
#include "server/events/audit.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/store/settings.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace fleet::telemetry {
namespace {

namespace json = boost::json;

constexpr std::string_view kSetting = "telemetry_labels";
constexpr std::size_t kBytesMax = 64 * 1024;
constexpr auto kOfReleases = std::to_array<std::string_view>({"model", "version"});  ///< questions mean the release by these

std::string encode(std::vector<std::string> const& names) { return json::serialize(json::array(names.begin(), names.end())); }

Result<void> check(std::vector<std::string> const& names) {
  if (names.size() > kLabelsMax)
    return Error{Kind::bad_input, "bad_label", fmt::format("{} labels, at most {} keep samples apart", names.size(), kLabelsMax), "each multiplies what is kept by its values"};
  for (auto const& name : names) {
    if (std::count(names.begin(), names.end(), name) > 1) return Error{Kind::bad_input, "bad_label", fmt::format("label '{}' is named twice", name)};
    if (std::find(kOfReleases.begin(), kOfReleases.end(), name) != kOfReleases.end())
      return Error{Kind::bad_input, "bad_label", fmt::format("'{}' is the release's already: samples are kept apart by it anyway", name)};
    FLEET_CHECK(registry::check_labels({{name, "any"}}));
  }
  return {};
}

}  // namespace

Result<ChosenLabels> load_chosen(db::Connection& reader) {
  ChosenLabels out;
  FLEET_TRY(auto const kept, store::load_setting(reader, kSetting));
  if (!kept) return out;
  FLEET_TRY(auto const value, wire::parse_json(*kept, kBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader object(value, "", faults);
  out.revision = object.integer("revision", 1, INT64_MAX, 1);
  if (auto const* const names = object.find("labels"); names != nullptr && names->is_array())
    for (auto const& name : names->get_array())
      if (auto const* const text = name.if_string()) out.names.emplace_back(*text);
  FLEET_CHECK(wire::no_faults(faults, "telemetry_labels in settings"));
  return out;
}

Result<std::vector<std::string>> load_labels(db::Connection& reader) {
  FLEET_TRY(auto chosen, load_chosen(reader));
  return std::move(chosen.names);
}

Result<void> set_labels(store::Tx& tx, std::vector<std::string> names, events::Deed const& deed) {
  std::sort(names.begin(), names.end());
  FLEET_CHECK(check(names));
  FLEET_TRY(auto const before, load_chosen(tx.connection()));
  if (names == before.names) return {};
  json::object const kept{{"labels", json::array(names.begin(), names.end())}, {"revision", before.revision + 1}};
  FLEET_CHECK(store::save_setting(tx, kSetting, json::serialize(kept)));
  return events::record(tx, deed, "telemetry.labels_changed", "telemetry/labels", encode(before.names), encode(names));
}

std::string joined(std::vector<std::string> const& names) { return fmt::format("{}", fmt::join(names, ",")); }

KeptBy kept_by(std::vector<std::string> const& names, wire::Labels const& device) {
  json::object labels;
  std::vector<std::string> had;
  for (auto const& name : names) {
    auto const found = device.find(name);
    if (found == device.end()) continue;
    labels[name] = found->second;
    had.push_back(name);
  }
  return {json::serialize(labels), joined(had)};
}

}  // namespace fleet::telemetry
