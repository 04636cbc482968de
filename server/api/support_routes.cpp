#include "server/api/route.hpp"
#include "server/delivery/support.hpp"
#include "server/registry/devices.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace {

namespace json = boost::json;
using delivery::Support;

// What a device collects of itself is of every model that it has.
constexpr Scope kSupport{Bound::closed, Bound::named, {{Place::path, "id", Thing::device}}};

json::object to_json(std::string_view device, Support const& support) {
  auto const time = [](SysTime at) { return at == SysTime{} ? json::value(nullptr) : json::value(json::string(to_rfc3339(at))); };
  return {{"id", support.id},
          {"device", device},
          {"state", support.is_received() ? "received" : "waiting"},
          {"metered", support.metered},
          {"asked_by", support.asked_by},
          {"asked_at", time(support.asked_at)},
          {"received_at", time(support.received_at)},
          {"made_at", time(support.made_at)},
          {"size", support.size},
          {"sha256", support.sha256.empty() ? json::value(nullptr) : json::value(json::string(support.sha256))}};
}

Result<Reply> ask(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, false, {"metered"}));
  auto const metered = body.texts.find("metered");
  if (metered != body.texts.end() && metered->second != "avoid" && metered->second != "allow")
    return Error{Kind::bad_input, "bad_parameter", fmt::format("metered: expected avoid or allow, got '{}'", metered->second.substr(0, 32))};
  FLEET_TRY(auto const device, registry::load_device(tx.connection(), call.path_value("id")));
  if (device.state != "active" || device.cache)
    return Error{Kind::conflict, "device_" + (device.cache ? std::string("is_cache") : device.state), fmt::format("device {} is {}", device.id, device.cache ? "a cache" : device.state),
                 "only an active device is told anything"};
  auto const id = make_ulid("sup_", to_unix_ms(call.now), services.random);
  FLEET_TRY(auto const asked, delivery::ask_support(tx, device.n, device.id, id, metered != body.texts.end() && metered->second == "allow", call.deed(body.reason)));
  Reply reply;
  reply.status = 202;
  reply.body = json::serialize(to_json(device.id, asked));
  return reply;
}

Result<Reply> get_support(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const device, registry::load_device(reader, call.path_value("id")));
  FLEET_TRY(auto const found, delivery::load_support(reader, device.n));
  if (!found) return Error{Kind::not_found, "no_support_bundle", fmt::format("there is no support bundle of device {}", device.id), "ask for one: fleetctl device collect"};
  Reply reply;
  reply.body = json::serialize(to_json(device.id, *found));
  return reply;
}

Result<Reply> get_content(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const device, registry::load_device(reader, call.path_value("id")));
  Reply reply;
  FLEET_TRY(reply.body, delivery::load_support_content(reader, device.n));
  if (reply.body.empty()) return Error{Kind::not_found, "no_support_bundle", fmt::format("device {} has not sent a support bundle", device.id), "it is kept for 30 days"};
  reply.content_type = "application/x-tar";
  return reply;
}

}  // namespace

std::vector<Route> const& support_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const routes{
      {post, "/api/v1/devices/{id}:collect", P::operate, kSupport, &ask, 64 * 1024},
      {get, "/api/v1/devices/{id}/support", P::operate, kSupport, &get_support},
      {get, "/api/v1/devices/{id}/support/content", P::operate, kSupport, &get_content},
  };
  return routes;
}

}  // namespace fleet::api
