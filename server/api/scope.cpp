#include "server/api/scope.hpp"

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"
#include "server/api/route.hpp"
#include "server/blobs/readers.hpp"
#include "server/blobs/uploads.hpp"
#include "server/content/recipes.hpp"
#include "server/catalog/releases.hpp"
#include "server/delivery/bundles.hpp"
#include "server/registry/devices.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/join_tokens.hpp"
#include "server/rollout/shell/record.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <array>
#include <optional>

namespace fleet::api {
namespace {

/// Routes whose bodies name something take no larger ones.
constexpr std::size_t kBodyMax = wire::kPublicationBytesMax;

/// A member as text; a list as JSON; nothing for what it lacks, and for any other value: the handler refuses that.
std::optional<std::string> member(boost::json::value const& body, std::string_view name) {
  auto const* const object = body.if_object();
  auto const* const found = object == nullptr ? nullptr : object->if_contains(name);
  if (found == nullptr) return std::nullopt;
  if (auto const* const text = found->if_string()) return std::string(*text);
  if (found->is_bool() && found->get_bool()) return "true";
  if (found->is_array()) return boost::json::serialize(*found);
  return std::nullopt;
}

std::string words(registry::Limits const& limits) {
  auto const model = limits.model.empty() ? std::string() : fmt::format("model '{}'", limits.model);
  auto const devices = limits.devices ? fmt::format("devices of '{}'", limits.selector) : std::string();
  return model + (model.empty() || devices.empty() ? "" : " and ") + devices;
}

/// Says nothing of whether `what` exists: a caller with limits learns nothing of what lies beyond them.
Error beyond(Call const& call, std::string_view what, std::string hint = "use a token without that limit") {
  return {Kind::forbidden, "out_of_scope", fmt::format("{} is limited to {}, which does not cover {}", call.actor.name, words(call.actor.limits), what),
          std::move(hint)};
}

Result<void> check_model(Call const& call, db::Connection&, std::string_view name) {
  if (call.actor.limits.covers_model(name)) return {};
  return beyond(call, fmt::format("model '{}'", name.substr(0, 64)));
}

Result<void> check_release(Call const& call, db::Connection& connection, std::string_view name) {
  return check_model(call, connection, name.substr(0, name.find('@')));
}

/// @param gone  what is said of a device that is not there
Result<void> check_device_of(Call const& call, db::Connection& connection, std::string_view id, Result<void> const& gone) {
  auto const& limits = call.actor.limits;
  if (!limits.devices) return {};
  auto const device = registry::load_device(connection, id);
  if (!device && device.error().kind == Kind::not_found) return gone;
  if (!device) return device.error();
  FLEET_TRY(auto const running, registry::load_running(connection, device->n));
  FLEET_TRY(auto const lists, registry::load_lists(connection, device->id));
  if (limits.covers(registry::view_of(*device, &running.versions, &lists))) return {};
  return beyond(call, fmt::format("device '{}'", id));
}

Result<void> check_device(Call const& call, db::Connection& connection, std::string_view id) {
  return check_device_of(call, connection, id, beyond(call, fmt::format("device '{}'", id.substr(0, 128))));
}

Result<void> check_rollout(Call const& call, db::Connection& connection, std::string_view id) {
  auto const& limits = call.actor.limits;
  if (!limits.any()) return {};
  auto const found = rollout::load_rollout(connection, id);
  if (!found && found.error().kind != Kind::not_found) return found.error();
  if (found && limits.covers_model(found->model)) {
    FLEET_TRY(auto const reach, registry::Selector::parse(found->selector));
    if (limits.cover(reach)) return {};
  }
  return beyond(call, fmt::format("rollout '{}'", id.substr(0, 64)));
}

Result<void> check_question(Call const& call, db::Connection& connection, std::string_view text) {
  FLEET_TRY(auto const question, registry::read_kept_selector(connection, text));
  if (call.actor.limits.may_ask(question)) return {};
  return beyond(call, fmt::format("who runs anything else ({})", text));
}

Result<void> check_devices(Call const& call, db::Connection& connection, std::string_view text) {
  FLEET_CHECK(check_question(call, connection, text));
  auto const& limits = call.actor.limits;
  FLEET_TRY(auto const wanted, registry::Selector::parse(text));
  if (limits.cover(wanted)) return {};
  return beyond(call, fmt::format("the selector ({})", text.empty() ? std::string_view("all devices") : text),
                fmt::format("narrow it: -l '{}{}{}'", limits.selector, text.empty() ? "" : ",", text));
}

/// What the token leaves open may be anything: only what it binds keeps a device within.
Result<void> check_bindings(Call const& call, db::Connection&, std::string_view body) {
  FLEET_TRY(auto const spec, registry::decode_join_token_spec(body));
  if (call.actor.limits.cover(registry::bound_by(spec))) return {};
  return beyond(call, "what the device token binds", fmt::format("bind what '{}' asks for: --label, --hardware or --id", call.actor.limits.selector));
}

Result<void> check_device_token(Call const& call, db::Connection& connection, std::string_view id) {
  if (!call.actor.limits.any()) return {};
  FLEET_TRY(auto const maker, registry::maker_of_join_token(connection, id));
  if (maker && *maker == call.actor.name) return {};
  return beyond(call, fmt::format("device token '{}'", id.substr(0, 64)), "a token without that limit may revoke it");
}

/// An upload belongs to the one who began it: nobody else learns that it exists.
Result<void> check_upload(Call const& call, db::Connection& connection, std::string_view id) {
  auto const upload = blobs::load_upload(connection, id);
  if (upload && upload->created_by == call.actor.name) return {};
  if (!upload && upload.error().kind != Kind::not_found) return upload.error();
  return blobs::unknown_upload(id);
}

Result<void> check_blob(Call const& call, db::Connection& connection, std::string_view text) {
  FLEET_TRY(auto const digest, Digest::parse(text));
  auto const& actor = call.actor;
  FLEET_TRY(bool const may, actor.device_n != 0 ? blobs::may_device_read(connection, digest, actor.device_n)
                                                : blobs::may_read(connection, digest, actor.name, actor.limits.model));
  if (may) return {};
  // What routes name is read by who may read the file that it helps to make.
  FLEET_TRY(bool const may_object, actor.device_n != 0 ? routes::may_device_read(connection, digest, actor.device_n) : routes::is_in_release(connection, digest, actor.limits.model));
  if (may_object) return {};
  return blobs::unknown_blob(digest);
}

Result<void> check_family(Call const& call, db::Connection&, std::string_view asked) {
  if (asked != "true" || call.actor.limits.model.empty()) return {};
  return beyond(call, "every model that has something made from this release");
}

Result<void> check_whole_fleet(Call const& call, db::Connection&, std::string_view asked) {
  if (asked != "true" || !call.actor.limits.any()) return {};
  return beyond(call, "what the whole fleet did");
}

Result<void> check_parents(Call const& call, db::Connection& connection, std::string_view text) {
  FLEET_TRY(auto const parents, wire::parse_json(text, kBodyMax));
  if (call.actor.limits.model.empty() || !parents.is_array()) return {};
  for (auto const& parent : parents.get_array()) {
    auto const model = member(parent, "model").value_or(""), version = member(parent, "version").value_or("");
    if (call.actor.limits.covers_model(model)) continue;
    auto const found = catalog::load_release(connection, model, version);
    if (!found && found.error().kind != Kind::not_found) return found.error();
    if (!found || found->state != "approved") return beyond(call, fmt::format("'{}@{}', which is not approved", model.substr(0, 64), version.substr(0, 64)));
  }
  return {};
}

/// A set's rollout moves the members' models, which lie beyond any limit to one model.
Result<void> check_moved_model(Call const& call, db::Connection& connection, std::string_view name) {
  FLEET_CHECK(check_model(call, connection, name));
  if (call.actor.limits.model.empty()) return {};
  auto const model = catalog::load_model(connection, name);
  if (!model && model.error().kind != Kind::not_found) return model.error();
  if (!model || model->kind != "set") return {};
  return beyond(call, fmt::format("the models of the members of set '{}'", name.substr(0, 64)));
}

Result<void> check_moved_rollout(Call const& call, db::Connection& connection, std::string_view id) {
  FLEET_CHECK(check_rollout(call, connection, id));
  if (call.actor.limits.model.empty()) return {};
  FLEET_TRY(auto const found, rollout::load_rollout(connection, id));
  return check_moved_model(call, connection, found.model);
}

Result<void> check_bundle(Call const& call, db::Connection& connection, std::string_view id) {
  if (!call.actor.limits.any()) return {};
  auto const bundle = delivery::load_bundle(connection, id);
  if (bundle && bundle->created_by == call.actor.name) return {};
  if (!bundle && bundle.error().kind != Kind::not_found) return bundle.error();
  return beyond(call, fmt::format("bundle '{}'", id.substr(0, 64)));
}

using Check = Result<void> (*)(Call const&, db::Connection&, std::string_view);
struct Row {
  Thing thing;
  Check check;
};
constexpr auto kRows = std::to_array<Row>({{Thing::model, check_model},
                                           {Thing::release, check_release},
                                           {Thing::device, check_device},
                                           {Thing::moved_device, check_device},
                                           {Thing::rollout, check_rollout},
                                           {Thing::devices, check_devices},
                                           {Thing::some_devices, check_devices},
                                           {Thing::question, check_question},
                                           {Thing::bindings, check_bindings},
                                           {Thing::device_token, check_device_token},
                                           {Thing::upload, check_upload},
                                           {Thing::blob, check_blob},
                                           {Thing::family, check_family},
                                           {Thing::whole_fleet, check_whole_fleet},
                                           {Thing::parents, check_parents},
                                           {Thing::moved_model, check_moved_model},
                                           {Thing::moved_rollout, check_moved_rollout},
                                           {Thing::bundle, check_bundle}});
static_assert([] {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].thing != static_cast<Thing>(i)) return false;
  return true;
}(), "kRows has the order of Thing");

/// Judged for everybody: they belong to somebody, limits or not.
bool has_owner(Thing thing) { return thing == Thing::upload || thing == Thing::blob; }

/// Where such a value is empty, none is named. An empty model or selector is all of them.
bool names_one(Thing thing) { return thing == Thing::release || thing == Thing::device || thing == Thing::rollout || thing == Thing::moved_rollout; }

/// Reads what a request names; its body once, and only where that is asked for.
class Values {
public:
  explicit Values(Call const& call) : call_(call) {}

  Result<std::optional<std::string>> find(Named const& named) {
    if (named.place == Place::path) return std::optional(std::string(call_.path_value(named.name)));
    if (named.place == Place::query) return of_query(named);
    if (named.name.empty()) return std::optional(call_.request.body);
    if (!body_) {
      FLEET_TRY(body_, wire::parse_json(call_.request.body.empty() ? "{}" : std::string_view(call_.request.body), kBodyMax));
    }
    return member(*body_, named.name);
  }

private:
  std::optional<std::string> of_query(Named const& named) const {
    auto const found = call_.query.find(named.name);
    return found == call_.query.end() ? std::nullopt : std::optional(found->second);
  }

  Call const& call_;
  std::optional<boost::json::value> body_;
};

}  // namespace

Result<void> check(Thing thing, Call const& call, db::Connection& connection, std::string_view value) {
  return kRows[static_cast<std::size_t>(thing)].check(call, connection, value);
}

Result<void> judge(Scope const& scope, Call const& call, db::Connection& connection) {
  auto const& limits = call.actor.limits;
  if (scope.models == Bound::closed && !limits.model.empty()) return beyond(call, "what is of all models");
  if (scope.devices == Bound::closed && limits.devices) return beyond(call, "what is of all devices");
  Values values(call);
  for (auto const& named : scope.names) {
    if (!limits.any() && !has_owner(named.thing)) continue;
    FLEET_TRY(auto value, values.find(named));
    if (!value && named.thing == Thing::devices) value.emplace();
    if (value && value->empty() && names_one(named.thing)) continue;
    if (value) FLEET_CHECK(check(named.thing, call, connection, *value));
  }
  return {};
}

Result<void> judge_after(Scope const& scope, Call const& call, db::Connection& connection) {
  for (auto const& named : scope.names)
    if (named.thing == Thing::moved_device) FLEET_CHECK(check_device_of(call, connection, call.path_value(named.name), {}));
  return {};
}

}  // namespace fleet::api
