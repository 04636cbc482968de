#include "server/api/route.hpp"
#include "server/registry/groups.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::api {
namespace {

namespace json = boost::json;

/// kGroupIdsMax ids of at most 128 characters, in quotes, with commas and a line each.
constexpr std::uint64_t kGroupBodyMax = 16 * 1024 * 1024;
constexpr std::size_t kSelectorMax = 4'096;
constexpr std::size_t kFaultsShown = 20;
constexpr int kUnknownShown = 10;

// Groups bound tokens, and aim rollouts of every model: who has limits changes none, and is shown those that lie within.
constexpr Scope kRead{Bound::filtered, Bound::filtered};

/// A member of a bounded caller's view, or one that is beyond: which of both it is not told.
Result<registry::Group> load_covered(Call const& call, db::Connection& reader) {
  auto found = registry::load_group(reader, call.path_value("name"));
  if (!call.actor.limits.any() || (found && registry::covers(call.actor.limits, *found))) return found;
  if (!found && found.error().kind != Kind::not_found) return found;
  return Error{Kind::forbidden, "out_of_scope",
               fmt::format("{} has limits that do not cover group '{}'", call.actor.name, call.path_value("name").substr(0, 128)),
               "use a token without that limit"};
}

Result<std::vector<std::string>> read_ids(json::array const& given) {
  if (given.size() > registry::kGroupIdsMax)
    return Error{Kind::too_large, "too_many_ids", fmt::format("devices: {} ids, a group's list has at most {}", given.size(), registry::kGroupIdsMax),
                 "make several groups and select them together: -l 'group in (a,b)'; or give the devices a label"};
  std::vector<std::string> out;
  std::vector<FieldError> faults;
  out.reserve(given.size());
  for (std::size_t i = 0; i < given.size() && faults.size() < kFaultsShown; ++i) {
    auto const* const id = given[i].if_string();
    auto const right = id == nullptr ? Result<void>(Error{Kind::bad_input, "bad_name", "expected an id, a text"}) : check_id("id", *id);
    if (right) out.emplace_back(*id);
    else faults.push_back({fmt::format("/devices/{}", i), right.error().detail});
  }
  FLEET_CHECK(wire::no_faults(faults, "body"));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

struct Wanted {
  registry::GroupSpec spec;
  std::string reason;
};
/// @param name  of the path; empty: the body says it
Result<Wanted> decode(std::string_view body, std::string_view name) {
  FLEET_TRY(auto const value, wire::parse_json(body.empty() ? "{}" : body, kGroupBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Wanted out;
  out.spec.name = name.empty() ? reader.required_text("name", 128) : std::string(name);
  out.reason = reader.text("reason", 1'000, {});
  auto const* const devices = reader.find("devices");
  if (reader.find("selector") != nullptr) out.spec.selector = reader.text("selector", kSelectorMax, {});
  if (reader.valid() && out.spec.selector.has_value() == (devices != nullptr)) reader.fault("selector", "a group has either a selector or a list of devices");
  if (out.spec.selector && out.spec.selector->empty()) reader.fault("selector", "is empty, which is every device: no group is needed to say that");
  if (devices != nullptr && !devices->is_array()) reader.fault("devices", "expected a list of ids");
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  if (devices != nullptr) {
    FLEET_TRY(out.spec.ids, read_ids(devices->get_array()));
  }
  return out;
}

/// The group, with how many of its ids are of no device yet, and the first of them.
Result<Reply> group_reply(db::Connection& reader, registry::Group const& group, int status = 200) {
  auto object = json::parse(registry::group_json(group)).as_object();
  object["unknown"] = nullptr;
  if (!group.selector) {
    FLEET_TRY(auto const unknown, registry::count_unknown(reader, group));
    object["unknown"] = unknown;
    json::array first;
    std::string after;
    while (unknown > 0 && first.size() < std::min<std::size_t>(kUnknownShown, static_cast<std::size_t>(unknown))) {
      FLEET_TRY(auto const ids, registry::list_group_ids(reader, group, after, 1'000));
      if (ids.empty()) break;
      after = ids.back().first;
      for (auto const& [id, known] : ids)
        if (!known && first.size() < kUnknownShown) first.push_back(json::value(id));
    }
    object["unknown_ids"] = std::move(first);
  }
  Reply reply;
  reply.status = status;
  reply.revision = group.revision;
  reply.body = json::serialize(object);
  return reply;
}

Result<Reply> list_groups(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const found, registry::list_groups(services.store.reader(), call.actor.limits, page.after, page.limit + 1));
  std::vector<std::string> items;
  auto const shown = std::min(found.size(), static_cast<std::size_t>(page.limit));
  for (std::size_t i = 0; i < shown; ++i) items.push_back(registry::group_json(found[i]));
  return list_reply(call, items, found.size() > shown ? found[shown - 1].name : std::string());
}

Result<Reply> get_group(Services& services, Call const& call) {
  auto& reader = services.store.reader();
  FLEET_TRY(auto const group, load_covered(call, reader));
  return group_reply(reader, group);
}

Result<Reply> list_its_ids(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const group, load_covered(call, reader));
  if (group.selector)
    return Error{Kind::conflict, "no_list", fmt::format("group {} is a selector ({}), not a list", group.name, *group.selector),
                 fmt::format("fleetctl device list -l group={}", group.name)};
  FLEET_TRY(auto const found, registry::list_group_ids(reader, group, page.after, page.limit + 1));
  std::vector<std::string> items;
  auto const shown = std::min(found.size(), static_cast<std::size_t>(page.limit));
  for (std::size_t i = 0; i < shown; ++i) items.push_back(json::serialize(json::object{{"id", found[i].first}, {"known", found[i].second}}));
  return list_reply(call, items, found.size() > shown ? found[shown - 1].first : std::string());
}

Result<Reply> create_group(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, decode(call.request.body, {}));
  FLEET_TRY(auto const made, registry::put_group(services.store, wanted.spec, {.must_be_new = true}, call.deed(wanted.reason)));
  FLEET_TRY(auto reply, group_reply(services.store.reader(), made, 201));
  reply.headers.push_back({"Location", "/api/v1/groups/" + made.name});
  return reply;
}

Result<Reply> change_group(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, decode(call.request.body, call.path_value("name")));
  FLEET_TRY(auto const before, registry::load_group(services.store.reader(), call.path_value("name")));
  FLEET_CHECK(check_if_match(call, before.revision));
  FLEET_TRY(auto const after, registry::put_group(services.store, wanted.spec, {.revision = before.revision}, call.deed(wanted.reason)));
  return group_reply(services.store.reader(), after);
}

Result<Reply> delete_group(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, false));
  FLEET_TRY(auto const group, registry::load_group(tx.connection(), call.path_value("name")));
  FLEET_CHECK(check_if_match(call, group.revision));
  FLEET_CHECK(registry::delete_group(tx, group, call.deed(body.reason)));
  Reply reply;
  reply.status = 204;
  return reply;
}

}  // namespace

std::vector<Route> const& group_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const routes{
      {get, "/api/v1/groups", P::read, kRead, &list_groups},
      {post, "/api/v1/groups", P::operate, kWhole, &create_group, kGroupBodyMax},
      {get, "/api/v1/groups/{name}", P::read, kRead, &get_group},
      {put, "/api/v1/groups/{name}", P::operate, kWhole, &change_group, kGroupBodyMax},
      {del, "/api/v1/groups/{name}", P::operate, kWhole, &delete_group, 64 * 1024},
      {get, "/api/v1/groups/{name}/devices", P::read, kRead, &list_its_ids},
  };
  return routes;
}

}  // namespace fleet::api
