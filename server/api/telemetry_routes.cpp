#include "server/api/route.hpp"
#include "server/registry/versions.hpp"
#include "server/telemetry/features.hpp"
#include "server/telemetry/labels.hpp"
#include "server/telemetry/names.hpp"
#include "server/telemetry/query.hpp"
#include "server/telemetry/sink.hpp"
#include "server/telemetry/terms.hpp"

#include "core/wire/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::api {
namespace {

namespace json = boost::json;

// Samples are summed over all devices of a series: a selector must be within the limits by its own words.
constexpr Scope kQuery{Bound::filtered, Bound::named, {{Place::query, "model", Thing::model}, {Place::query, "selector", Thing::devices}}};
/// Names alone tell what all devices of a model measure.
constexpr Scope kNames{Bound::filtered, Bound::closed, {{Place::query, "model", Thing::model}}};

constexpr std::uint64_t kLabelsBody = 4 * 1024;
constexpr std::string_view kBetween = "\n";  ///< parts a model from a name in a cursor

std::unique_ptr<telemetry::Intervals> intervals(Services& services) {
  if (services.telemetry != nullptr) return services.telemetry->intervals();
  return std::make_unique<telemetry::OwnIntervals>(services.store.reader());
}

// On a worker: a month of a busy metric is a long read.
Result<Reply> get_query(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"metric", "model", "version", "since", "step", "stat", "by", "selector"}));
  auto& reader = services.store.reader();
  telemetry::RawQuery const raw{.metric = call.query_value("metric"),
                                .model = call.query_value("model"),
                                .version = call.query_value("version"),
                                .since = call.query_value("since"),
                                .step = call.query_value("step"),
                                .stat = call.query_value("stat"),
                                .by = call.query_value("by"),
                                .selector = call.query_value("selector"),
                                .groups = telemetry::groups_of(reader, call.query_value("selector"))};
  FLEET_TRY(auto const labels, telemetry::load_labels(reader));
  FLEET_TRY(auto query, telemetry::parse_query(raw, call.actor.limits, labels, call.now));
  FLEET_TRY(query.wanted.version, registry::version_named(reader, query.wanted.model, query.wanted.version));
  Reply reply;
  FLEET_TRY(reply.body, telemetry::run_query(*intervals(services), query));
  return reply;
}

Result<Reply> get_features(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"model", "version", "metric", "since", "step", "selector"}));
  auto& reader = services.store.reader();
  telemetry::RawFeatures const raw{.model = call.query_value("model"),
                                   .version = call.query_value("version"),
                                   .metric = call.query_value("metric"),
                                   .since = call.query_value("since"),
                                   .step = call.query_value("step"),
                                   .selector = call.query_value("selector"),
                                .groups = telemetry::groups_of(reader, call.query_value("selector"))};
  FLEET_TRY(auto const labels, telemetry::load_labels(reader));
  FLEET_TRY(auto query, telemetry::parse_features(raw, call.actor.limits, labels, call.now));
  FLEET_TRY(query.version, registry::version_named(reader, query.model, query.version));
  Reply reply;
  reply.content_type = "application/x-ndjson";
  FLEET_TRY(reply.body, telemetry::run_features(reader, *intervals(services), query));
  return reply;
}

Result<Reply> list_names(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"model", "limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  auto const of_model = call.query_value("model", call.actor.limits.model);
  auto const between = page.after.find(kBetween);
  auto const model = page.after.substr(0, between), name = between == std::string::npos ? std::string() : page.after.substr(between + kBetween.size());
  FLEET_TRY(auto const found, telemetry::list_metrics(services.store.reader(), of_model, model, name, page.limit + 1));
  std::vector<std::string> items;
  auto const shown = std::min(found.size(), static_cast<std::size_t>(page.limit));
  for (std::size_t i = 0; i < shown; ++i) items.push_back(telemetry::metric_json(found[i]));
  return list_reply(call, items, found.size() > shown ? found[shown - 1].model + std::string(kBetween) + found[shown - 1].name : std::string());
}

Result<Reply> labels_reply(db::Connection& reader) {
  FLEET_TRY(auto const chosen, telemetry::load_chosen(reader));
  Reply reply;
  reply.revision = chosen.revision;
  reply.body = json::serialize(json::object{{"labels", json::array(chosen.names.begin(), chosen.names.end())}});
  return reply;
}

Result<Reply> get_labels(Services&, Call const&, db::Connection& reader) { return labels_reply(reader); }

Result<Reply> put_labels(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const value, wire::parse_json(call.request.body, kLabelsBody));
  std::vector<FieldError> faults;
  wire::ObjectReader body(value, "", faults);
  auto const reason = body.text("reason", 1'000, {});
  std::vector<std::string> names;
  auto const* const given = body.find("labels");
  if (body.valid() && (given == nullptr || !given->is_array())) body.fault("labels", "expected a list of names; an empty one keeps samples apart by none");
  else if (given != nullptr)
    for (auto const& name : given->get_array()) {
      if (auto const* const text = name.if_string()) names.emplace_back(*text);
      else body.fault("labels", "expected names");
    }
  body.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_TRY(auto const before, telemetry::load_chosen(tx.connection()));
  if (before.revision > 0) FLEET_CHECK(check_if_match(call, before.revision));
  FLEET_CHECK(telemetry::set_labels(tx, std::move(names), call.deed(reason)));
  return labels_reply(tx.connection());
}

}  // namespace

std::vector<Route> const& telemetry_routes() {
  static std::vector<Route> const kRoutes{
      {net::Method::get, "/api/v1/telemetry/query", Permission::read, kQuery, WorkHandler{get_query}, 0},
      {net::Method::get, "/api/v1/telemetry/features", Permission::read, kQuery, WorkHandler{get_features}, 0},
      {net::Method::get, "/api/v1/telemetry/metrics", Permission::read, kNames, WorkHandler{list_names}, 0},
      {net::Method::get, "/api/v1/telemetry/labels", Permission::read, kOpen, ReadHandler{get_labels}, 0},
      {net::Method::put, "/api/v1/telemetry/labels", Permission::administer, kWhole, WriteHandler{put_labels}, kLabelsBody},
  };
  return kRoutes;
}

}  // namespace fleet::api
