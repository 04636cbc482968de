#include "server/telemetry/names.hpp"

#include "core/wire/release.hpp"
#include "server/telemetry/queries.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>

namespace fleet::telemetry {
namespace {

namespace json = boost::json;

struct TypeOfKind {
  std::string_view kind, type;
};
constexpr auto kTypes =
    std::to_array<TypeOfKind>({{"c", "counter"}, {"g", "gauge"}, {"s", "set"}, {"ms", "timing"}, {"h", "histogram"}, {"d", "distribution"}});

}  // namespace

std::string type_of(std::string_view kind) {
  auto const found = std::find_if(kTypes.begin(), kTypes.end(), [&](TypeOfKind const& one) { return one.kind == kind; });
  return found == kTypes.end() ? std::string() : std::string(found->type);
}

Result<Units> load_units(db::Connection& reader, std::string const& model) {
  Units out;
  auto row = reader.prepare(kNewestDocument);
  FLEET_TRY(bool const found, row.bind_all(model).step());
  if (!found) return out;
  FLEET_TRY(auto const release, wire::decode_release(row.text_view(0)));
  for (auto const& [name, metric] : release.manifest.schema)
    if (!metric.unit.empty()) out.emplace(name, metric.unit);
  return out;
}

Result<std::vector<Metric>> list_metrics(db::Connection& reader, std::string const& of_model, std::string const& model, std::string const& name, int limit) {
  std::vector<Metric> out;
  {
    auto row = reader.prepare(kListMetrics);
    row.bind_all(of_model, model, name, limit);
    while (true) {
      FLEET_TRY(bool const more, row.step());
      if (!more) break;
      out.push_back({row.text(0), row.text(1), type_of(row.text_view(2)), {}, from_unix_ms(row.int64(3))});
    }
  }
  std::map<std::string, Units> units;
  for (auto& metric : out) {
    if (!units.contains(metric.model)) {
      FLEET_TRY(units[metric.model], load_units(reader, metric.model));
    }
    auto const& known = units[metric.model];
    if (auto const found = known.find(metric.name); found != known.end()) metric.unit = found->second;
  }
  return out;
}

std::string metric_json(Metric const& metric) {
  auto const or_null = [](std::string const& text) { return text.empty() ? json::value(nullptr) : json::value(text); };
  return json::serialize(json::object{{"model", or_null(metric.model)}, {"name", metric.name}, {"type", or_null(metric.type)}, {"unit", or_null(metric.unit)}, {"last_seen", to_rfc3339(metric.seen)}});
}

}  // namespace fleet::telemetry
