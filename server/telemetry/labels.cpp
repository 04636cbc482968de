#include "server/telemetry/labels.hpp"

#include "core/wire/json.hpp"
#include "server/events/audit.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/telemetry/queries.hpp"

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

constexpr std::string_view kSetting = "telemetry_labels", kRevision = "telemetry_labels_revision";
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

Result<std::vector<std::string>> load_labels(db::Connection& reader) {
  std::vector<std::string> out;
  auto row = reader.prepare(kGetText);
  FLEET_TRY(bool const found, row.bind_all(kSetting).step());
  if (!found) return out;
  FLEET_TRY(auto const names, wire::parse_json(row.text_view(0), 4'096));
  if (!names.is_array()) return Error{Kind::corrupt, "bad_labels", "the labels that samples are kept by are no list", "set them anew: fleetctl telemetry labels"};
  for (auto const& name : names.get_array())
    if (auto const* const text = name.if_string()) out.emplace_back(*text);
  return out;
}

Result<std::int64_t> labels_revision(db::Connection& reader) {
  auto row = reader.prepare(kGetText);
  FLEET_TRY(bool const found, row.bind_all(kRevision).step());
  return found ? std::stoll(row.text(0)) : 0;
}

Result<void> set_labels(store::Tx& tx, std::vector<std::string> names, events::Deed const& deed) {
  std::sort(names.begin(), names.end());
  FLEET_CHECK(check(names));
  FLEET_TRY(auto const before, load_labels(tx.connection()));
  if (names == before) return {};
  FLEET_TRY(auto const revision, labels_revision(tx.connection()));
  FLEET_CHECK(tx.prepare(kPutText).bind_all(kRevision, std::to_string(revision + 1)).run());
  FLEET_CHECK(tx.prepare(kPutText).bind_all(kSetting, encode(names)).run());
  return events::record(tx, deed, "telemetry.labels_changed", "telemetry/labels", encode(before), encode(names));
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
