#include "server/api/content_files.hpp"

#include "server/catalog/releases.hpp"
#include "server/content/recipes.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

namespace fleet::api {

Result<Reply> get_device_routes(Services& services, Call const& call) {
  auto const digest = Digest::parse(call.path_value("digest"));
  if (!digest) return Error{Kind::not_found, "unknown_release", "a release is named by the SHA-256 of its release.json"};
  FLEET_TRY(auto routes, routes::sign_routes(services.store.reader(), *services.keys, *digest, call.actor.device_n));
  if (routes.wanting != 0) FLEET_CHECK(routes::want_encrypted(services.store, routes.wanting, call.now));
  Reply reply;
  reply.body = std::move(routes.envelope);
  return reply;
}

Result<Reply> list_release_routes(Services& services, Call const& call) {
  auto& reader = services.store.reader();
  FLEET_TRY(auto const release, catalog::load_release(reader, call.path_value("m"), call.path_value("v")));
  FLEET_TRY(auto const document, wire::decode_release(release.document));
  FLEET_TRY(auto const items, routes::routes_json(reader, document));
  return list_reply(call, items, {});
}

Result<std::string> delivery_json(db::Connection& reader, rollout::Plan const& plan) {
  namespace json = boost::json;
  std::map<std::pair<std::string, std::string>, std::optional<wire::Release>> loaded;
  auto const load = [&](std::string const& model, std::string const& version) -> Result<wire::Release const*> {
    auto const [at, fresh] = loaded.try_emplace({model, version});
    if (fresh && !version.empty()) {
      auto const row = catalog::load_release(reader, model, version);
      if (!row && row.error().kind != Kind::not_found) return row.error();
      if (row) {
        FLEET_TRY(at->second, wire::decode_release(row->document));
      }
    }
    return at->second ? &*at->second : nullptr;
  };
  std::uint64_t bytes = 0, as_it_is = 0, largest = 0;
  json::array devices;
  for (auto const& [arrival, count] : plan.arrivals) {
    FLEET_TRY(auto const* const to, load(arrival.model, arrival.to));
    if (to == nullptr) continue;
    FLEET_TRY(auto const* const from, load(arrival.model, arrival.from));
    FLEET_TRY(auto const travel, routes::travel_of(reader, *to, from, arrival.hardware));
    auto const n = static_cast<std::uint64_t>(count);
    bytes += travel.bytes * n;
    as_it_is += travel.size * n;
    largest = std::max(largest, travel.bytes);
    devices.push_back(json::object{{"model", arrival.model},
                                   {"hardware", arrival.hardware},
                                   {"from", arrival.from.empty() ? json::value(nullptr) : json::value(arrival.from)},
                                   {"devices", count},
                                   {"kind", travel.kind},
                                   {"bytes", travel.bytes}});
  }
  return json::serialize(json::object{{"bytes", bytes}, {"as_it_is_bytes", as_it_is}, {"largest_bytes", largest}, {"devices", std::move(devices)}});
}

}  // namespace fleet::api
