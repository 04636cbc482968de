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

using Schema = std::map<std::string, wire::MetricSchema, std::less<>>;

struct TypeOfKind {
  std::string_view kind, type;
};
constexpr auto kTypes =
    std::to_array<TypeOfKind>({{"c", "counter"}, {"g", "gauge"}, {"s", "set"}, {"ms", "timing"}, {"h", "histogram"}, {"d", "distribution"}});

std::string type_of(std::string_view kind) {
  auto const found = std::find_if(kTypes.begin(), kTypes.end(), [&](TypeOfKind const& one) { return one.kind == kind; });
  return found == kTypes.end() ? std::string() : std::string(found->type);
}

Result<Schema> schema_of(db::Connection& reader, std::string const& model) {
  Schema out;
  auto row = reader.prepare(kNewestDocument);
  FLEET_TRY(bool const found, row.bind_all(model).step());
  if (!found) return out;
  FLEET_TRY(auto const release, wire::decode_release(row.text_view(0)));
  out.insert(release.manifest.schema.begin(), release.manifest.schema.end());
  return out;
}

}  // namespace

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
  std::map<std::string, Schema> schemas;
  for (auto& metric : out) {
    if (!schemas.contains(metric.model)) {
      FLEET_TRY(schemas[metric.model], schema_of(reader, metric.model));
    }
    auto const& schema = schemas[metric.model];
    if (auto const found = schema.find(metric.name); found != schema.end()) metric.unit = found->second.unit;
  }
  return out;
}

std::string metric_json(Metric const& metric) {
  auto const or_null = [](std::string const& text) { return text.empty() ? json::value(nullptr) : json::value(text); };
  return json::serialize(json::object{{"model", or_null(metric.model)}, {"name", metric.name}, {"type", or_null(metric.type)}, {"unit", or_null(metric.unit)}, {"last_seen", to_rfc3339(metric.seen)}});
}

}  // namespace fleet::telemetry
