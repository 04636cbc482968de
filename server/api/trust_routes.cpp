#include "core/wire/json.hpp"
#include "server/api/route.hpp"
#include "server/audit/audit.hpp"
#include "server/catalog/repository.hpp"
#include "server/catalog/trust_status.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <future>

namespace fleet::api {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kSmall = 16 * 1024;
constexpr std::string_view kManaged =
    "managed: this server holds keys that approve releases, so whoever takes the server over can make devices run what they like";
constexpr std::string_view kOffline = "offline: this server cannot approve a release by itself; it chooses among those that the owners signed";

json::object role_json(catalog::RoleStatus const& one) {
  json::array keys;
  for (auto const& id : one.key_ids) keys.push_back(json::string(id));
  return {{"role", one.role},
          {"version", one.version},
          {"expires", to_rfc3339(one.expires)},
          {"threshold", one.threshold},
          {"keys", std::move(keys)},
          {"held", one.here ? "here" : "elsewhere"},
          {"state", one.expires_soon ? "expires soon" : "good"}};
}

Result<Reply> get_trust(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {}));
  FLEET_TRY(auto const roles, catalog::trust_status(services.store.reader(), *services.keys, call.now));
  json::array list;
  for (auto const& one : roles) list.push_back(role_json(one));
  bool const managed = catalog::is_managed(roles);
  Reply reply;
  reply.body = json::serialize(json::object{{"mode", managed ? "managed" : "offline"}, {"text", managed ? kManaged : kOffline}, {"roles", std::move(list)}});
  return reply;
}

struct RotateRequest {
  std::string role, reason;
};
Result<RotateRequest> read_rotate(Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  RotateRequest out{reader.required_text("role", 66), reader.text("reason", 1000, "")};
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return out;
}

/// The new key signs from the job on; its file takes the old one's place once the metadata that names it is on the disk.
Result<Reply> rotate(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, read_rotate(call));
  auto& keys = *services.keys;
  auto const job = [&](store::Tx& tx) -> Result<void> {
    auto const rotated = catalog::rotate_role(tx, keys, wanted.role, call.now);
    if (!rotated) {
      keys.undo_rotation(wanted.role);
      return rotated;
    }
    return audit::record(tx, {call.now, call.actor.name, "trust.rotated", "role/" + wanted.role, "", json::serialize(json::object{{"role", wanted.role}}),
                              wanted.reason, call.request_id});
  };
  std::promise<Result<void>> promise;
  auto finished = promise.get_future();
  services.store.write(job, [&](Result<void> const& written) {
    if (!written) keys.undo_rotation(wanted.role);
    promise.set_value(written ? keys.end_rotation(wanted.role) : written);
  });
  FLEET_CHECK(finished.get());
  return get_trust(services, call);
}

}  // namespace

std::vector<Route> const& trust_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const routes{
      {get, "/api/v1/trust", P::read, WorkHandler{get_trust}, 0},
      {post, "/api/v1/trust:rotate", P::administer, WorkHandler{rotate}, kSmall},
  };
  return routes;
}

}  // namespace fleet::api
