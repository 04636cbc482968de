#include "core/trust/audit_chain.hpp"
#include "core/wire/json.hpp"
#include "server/access/roles.hpp"
#include "server/api/route.hpp"
#include "server/events/audit.hpp"
#include "server/ceremony/import.hpp"
#include "server/signing/repository.hpp"
#include "server/signing/trust_status.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <future>

namespace fleet::api {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kSmall = 16 * 1024;
constexpr std::size_t kKeysMax = 32, kReleasesMax = 64;
constexpr std::string_view kManaged =
    "managed: this server holds keys that approve releases, so whoever takes the server over can make devices run what they like";
constexpr std::string_view kOffline = "offline: this server cannot approve a release by itself; it chooses among those that the owners signed";

json::object role_json(signing::RoleStatus const& one) {
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
  FLEET_TRY(auto const roles, signing::trust_status(services.store.reader(), *services.keys, call.now));
  json::array list;
  for (auto const& one : roles)
    if (!one.role.starts_with("m-") || call.actor.limits.covers_model(std::string_view(one.role).substr(2))) list.push_back(role_json(one));
  bool const managed = signing::is_managed(roles);
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
  bool begun = false;
  auto const job = [&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(signing::rotate_role(tx, keys, wanted.role, call.now));
    begun = true;
    return events::record(tx, call.deed(wanted.reason), "trust.rotated", "role/" + wanted.role, "", json::serialize(json::object{{"role", wanted.role}}));
  };
  std::promise<Result<void>> promise;
  auto finished = promise.get_future();
  services.store.write(store::Lane::verbs, job, [&](Result<void> const& written) {
    if (!written && begun) keys.undo_rotation(wanted.role);
    promise.set_value(written ? keys.end_rotation(wanted.role) : written);
  });
  FLEET_CHECK(finished.get());
  return get_trust(services, call);
}

/// `keys` with `threshold`; neither: the keys stay.
Result<std::optional<trust::RoleSpec>> read_keys(wire::ObjectReader& reader, std::vector<FieldError>& faults) {
  auto const* const list = reader.array("keys", kKeysMax);
  auto const threshold = reader.integer("threshold", 1, static_cast<std::int64_t>(kKeysMax), 1);
  if (list == nullptr && reader.find("threshold") != nullptr) reader.fault("threshold", "goes with keys");
  if (list == nullptr) return std::optional<trust::RoleSpec>{};
  trust::RoleSpec out{{}, static_cast<int>(threshold)};
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto key = trust::decode_public_key(json::serialize((*list)[i]));
    if (key) out.keys.push_back(*std::move(key));
    else faults.push_back({fmt::format("/keys/{}", i), key.error().detail});
  }
  return std::optional(std::move(out));
}

Result<Reply> answer_proposal(Services& services, Call const& call, ceremony::Change const& change) {
  FLEET_TRY(auto const proposal, ceremony::propose(services.store.reader(), *services.keys, change, call.now));
  Reply reply;
  FLEET_TRY(reply.body, trust::encode(proposal));
  return reply;
}

Result<Reply> prepare(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  ceremony::Change change{reader.required_text("role", 66), {}, {}};
  FLEET_TRY(change.keys, read_keys(reader, faults));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return answer_proposal(services, call, change);
}

Result<Reply> prepare_releases(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  ceremony::Change const change{fmt::format("m-{}", call.path_value("m")), {}, reader.texts("releases", kReleasesMax, 64)};
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return answer_proposal(services, call, change);
}

/// The role's key leaves the disk once the metadata that names others is there.
Result<Reply> take(Services& services, Call const& call, trust::Proposal const& proposal) {
  auto& keys = *services.keys;
  ceremony::Imported imported;
  auto const job = [&](store::Tx& tx) -> Result<void> {
    catalog::Authority const authority{access::role_allows(call.actor.role, Permission::administer), call.actor.limits.model};
    FLEET_TRY(imported, ceremony::import_signed(tx, keys, proposal, call.deed(), authority));
    return {};
  };
  std::promise<Result<void>> promise;
  auto finished = promise.get_future();
  services.store.write(store::Lane::verbs, job, [&](Result<void> const& written) {
    if (!written && imported.moved) keys.undo_withhold(*imported.moved);
    if (!written && imported.rotated) keys.undo_use("directive-root");
    promise.set_value(!written ? written : imported.moved ? keys.drop(*imported.moved) : imported.rotated ? keys.end_rotation("directive-root") : written);
  });
  FLEET_CHECK(finished.get());
  return get_trust(services, call);
}

Result<Reply> import_any(Services& services, Call const& call) {
  FLEET_TRY(auto const proposal, trust::decode_proposal(call.request.body));
  return take(services, call, proposal);
}

Result<Reply> import_releases(Services& services, Call const& call) {
  FLEET_TRY(auto const proposal, trust::decode_proposal(call.request.body));
  auto const role = fmt::format("m-{}", call.path_value("m"));
  if (proposal.role != role || proposal.files.size() != 1 || proposal.files[0].role != role)
    return Error{Kind::forbidden, "not_permitted", fmt::format("a proposal of role {}: here only releases of {} are signed", proposal.role.substr(0, 66), role),
                 "an administrator imports changes of keys: fleetctl trust offline import"};
  return take(services, call, proposal);
}

constexpr Scope kStatus{Bound::filtered, Bound::open};
constexpr Scope kModel{Bound::named, Bound::open, {{Place::path, "m", Thing::model}}};
// What is signed of a model's releases is of every device.
constexpr Scope kSigning{Bound::named, Bound::closed, {{Place::path, "m", Thing::model}}};

}  // namespace

std::vector<Route> const& trust_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const routes{
      {get, "/api/v1/trust", P::read, kStatus, WorkHandler{get_trust}, 0},
      {post, "/api/v1/trust:rotate", P::administer, kWhole, WorkHandler{rotate}, kSmall},
      {post, "/api/v1/trust:prepare", P::administer, kWhole, WorkHandler{prepare}, kSmall},
      {post, "/api/v1/trust:import", P::administer, kWhole, WorkHandler{import_any}, trust::Proposal::kBytesMax},
      {post, "/api/v1/models/{m}:prepare", P::read, kModel, WorkHandler{prepare_releases}, kSmall},
      // Who publishes, and who approves: what counts is who signed.
      {post, "/api/v1/models/{m}:sign", P::publish, kSigning, WorkHandler{import_releases}, trust::Proposal::kBytesMax},
      {post, "/api/v1/models/{m}:countersign", P::approve, kSigning, WorkHandler{import_releases}, trust::Proposal::kBytesMax},
  };
  return routes;
}

}  // namespace fleet::api
