#include "server/api/device_explain.hpp"
#include "server/api/route.hpp"
#include "server/registry/enrol.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/join_tokens.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/registry/versions.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/telemetry/latest.hpp"

#include "core/wire/device.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <charconv>

namespace fleet::api {
namespace {

// What is a device's is no model's: who is limited to one reads it, as far as it says something of that model, and changes nothing.
constexpr Scope kDeviceRead{Bound::filtered, Bound::named, {{Place::path, "id", Thing::device}}};
constexpr Scope kExplain{Bound::filtered, Bound::named, {{Place::path, "id", Thing::device}, {Place::query, "model", Thing::model}}};
constexpr Scope kDeviceChange{Bound::closed, Bound::named, {{Place::path, "id", Thing::device}}};
constexpr Scope kDeviceMove{Bound::closed, Bound::named, {{Place::path, "id", Thing::moved_device}}};
constexpr Scope kDeviceReplace{Bound::closed, Bound::named, {{Place::path, "id", Thing::moved_device}, {Place::body, "replaces", Thing::device}}};
constexpr Scope kDeviceList{
    Bound::filtered, Bound::filtered, {{Place::query, "selector", Thing::question}, {Place::query, "running", Thing::release}, {Place::query, "descends_from", Thing::release}}};
constexpr Scope kTokenList{Bound::filtered, Bound::filtered};
constexpr Scope kTokenMake{Bound::closed, Bound::named, {{Place::body, "", Thing::bindings}}};
constexpr Scope kTokenChange{Bound::closed, Bound::named, {{Place::path, "id", Thing::device_token}}};


Result<Reply> device_reply(Services& services, Call const& call, db::Connection& connection, registry::Device const& device) {
  Reply reply;
  reply.revision = device.revision;
  FLEET_TRY(reply.body, registry::device_json(services.store, connection, device, call.actor.limits, call.now));
  return reply;
}

Result<std::optional<bool>> read_flag(Call const& call, std::string_view name) {
  auto const text = call.query_value(name);
  if (text.empty()) return std::optional<bool>{};
  if (text == "true" || text == "false") return std::optional(text == "true");
  return Error{Kind::bad_input, "bad_parameter", fmt::format("{}: expected true or false, got '{}'", name, text)};
}

/// `descends_from=M@V`, `dataset=NAME` or `dataset=sha256:HEX`.
Result<std::optional<registry::Origin>> read_origin(Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const release, registry::release_named(reader, call.query_value("descends_from")));
  auto const dataset = call.query_value("dataset");
  if (release.empty() && dataset.empty()) return std::optional<registry::Origin>{};
  if (!release.empty() && !dataset.empty()) return Error{Kind::bad_input, "bad_parameter", "descends_from and dataset: one of them"};
  constexpr std::string_view kDigest = "sha256:";
  if (dataset.starts_with(kDigest) && !Digest::parse(dataset.substr(kDigest.size())))
    return Error{Kind::bad_input, "bad_parameter", fmt::format("dataset: expected a name, or sha256: and 64 hex characters, got '{}'", dataset.substr(0, 130))};
  if (!dataset.empty()) return std::optional(registry::Origin{{}, {}, std::string(dataset.starts_with(kDigest) ? dataset.substr(kDigest.size()) : dataset)});
  auto const at = release.find('@');
  if (at == std::string::npos || at == 0 || at + 1 == release.size())
    return Error{Kind::bad_input, "bad_parameter", fmt::format("descends_from: expected MODEL@VERSION, got '{}'", release.substr(0, 130))};
  return std::optional(registry::Origin{std::string(release.substr(0, at)), std::string(release.substr(at + 1)), {}});
}

Result<registry::DeviceFilter> read_filter(Call const& call, db::Connection& reader) {
  registry::DeviceFilter out{call.actor.limits};
  // Who sees some devices alone is not told which groups there are.
  auto const read = out.limits.devices ? &registry::read_question : &registry::read_selector;
  FLEET_TRY(auto asked, read(reader, call.query_value("selector")));
  out.selectors.push_back(std::move(asked));
  if (auto const running = call.query_value("running"); !running.empty()) {
    FLEET_TRY(auto selector, registry::read_question(reader, fmt::format("running=\"{}\"", running)));
    out.selectors.push_back(std::move(selector));
  }
  out.state = call.query_value("state");
  constexpr auto kStates = std::to_array<std::string_view>({"", "pending", "active", "revoked", "retired"});
  if (std::find(kStates.begin(), kStates.end(), out.state) == kStates.end()) {
    return Error{Kind::bad_input, "bad_parameter", fmt::format("state: expected pending, active, revoked or retired, got '{}'", out.state)};
  }
  FLEET_TRY(out.online, read_flag(call, "online"));
  FLEET_TRY(out.origin, read_origin(call, reader));
  if (auto const before = call.query_value("last_seen_before"); !before.empty()) {
    FLEET_TRY(out.last_seen_before, parse_rfc3339(before));
  }
  return out;
}

Result<Reply> list_devices(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"selector", "state", "online", "last_seen_before", "running", "descends_from", "dataset", "limit", "cursor"}));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const filter, read_filter(call, reader));
  FLEET_TRY(auto const page, read_page(call));
  if (filter.origin) FLEET_CHECK(registry::check_origin(reader, *filter.origin, filter.limits));
  FLEET_TRY(auto const found, filter.state == "pending" ? registry::list_pending(reader, filter, page.after, page.limit)
                                                        : registry::list_devices(services.store, reader, filter, page.after, page.limit, call.now));
  return list_reply(call, found.items, found.next);
}

Result<Reply> get_device(Services& services, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const device, registry::load_device(reader, call.path_value("id")));
  FLEET_TRY(auto reply, device_reply(services, call, reader, device));
  FLEET_TRY(auto const latest, telemetry::load_latest(reader, device.n));
  FLEET_TRY(auto object, wire::parse_json(reply.body, wire::kReportBytesMax));
  FLEET_TRY(object.get_object()["sensors"], wire::parse_json(telemetry::flags_json(latest, call.actor.limits), wire::kReportBytesMax));
  object.get_object()["clock_ahead_s"] = latest.skew.count() / 1'000;
  reply.body = boost::json::serialize(object);
  return reply;
}

Result<Reply> list_latest(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const device, registry::load_device(reader, call.path_value("id")));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const latest, telemetry::load_latest(reader, device.n));
  FLEET_TRY(auto items, telemetry::list_latest(reader, latest, call.actor.limits));
  std::size_t from = 0;
  auto const [end, failed] = std::from_chars(page.after.data(), page.after.data() + page.after.size(), from);
  if (!page.after.empty() && (failed != std::errc{} || end != page.after.data() + page.after.size()))
    return Error{Kind::bad_input, "bad_cursor", "cursor: not one of a device's metrics"};
  auto const until = std::min(items.size(), from + static_cast<std::size_t>(page.limit));
  std::string const next = until < items.size() ? std::to_string(until) : "";
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(until), items.end());
  items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(std::min(from, items.size())));
  return list_reply(call, items, next);
}

Result<registry::Device> load_for_change(Call const& call, db::Connection& connection) {
  FLEET_TRY(auto device, registry::load_device(connection, call.path_value("id")));
  FLEET_CHECK(check_if_match(call, device.revision));
  return device;
}

Result<Reply> patch_device(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const device, load_for_change(call, tx.connection()));
  FLEET_TRY(auto const patch, registry::decode_label_patch(call.request.body));
  FLEET_TRY(auto const changed, registry::patch_labels(tx, device, patch, call.deed()));
  FLEET_CHECK(services.rollouts->left(tx, changed.n, rollout::Leaving::relabelled, call.now));
  return device_reply(services, call, tx.connection(), changed);
}

Result<Reply> delete_device(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const device, load_for_change(call, tx.connection()));
  FLEET_TRY(auto const body, read_verb(call, false));
  FLEET_CHECK(registry::remove_device(tx, device, call.deed(body.reason)));
  FLEET_CHECK(rollout::name_gone(tx, device.n, device.id));
  Reply reply;
  reply.status = 204;
  return reply;
}

Result<Reply> move_device(Services& services, Call const& call, store::Tx& tx, std::string_view state, bool reason_required) {
  FLEET_TRY(auto const body, read_verb(call, reason_required));
  FLEET_TRY(auto const device, load_for_change(call, tx.connection()));
  FLEET_TRY(auto const moved, registry::set_state(tx, device, state, call.deed(body.reason)));
  FLEET_CHECK(services.rollouts->left(tx, moved.n, rollout::Leaving::wholly, call.now));
  return device_reply(services, call, tx.connection(), moved);
}

Result<Reply> retire_device(Services& services, Call const& call, store::Tx& tx) { return move_device(services, call, tx, "retired", false); }
Result<Reply> revoke_device(Services& services, Call const& call, store::Tx& tx) { return move_device(services, call, tx, "revoked", true); }

Result<Reply> approve_device(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, true, {"key", "replaces"}));
  FLEET_TRY(auto const device, load_for_change(call, tx.connection()));
  auto const text = [&](std::string_view name) {
    auto const found = body.texts.find(name);
    return found == body.texts.end() ? std::string() : found->second;
  };
  if (!text("replaces").empty()) {
    FLEET_TRY(auto const replaced, registry::load_device(tx.connection(), text("replaces")));
    FLEET_CHECK(services.rollouts->left(tx, replaced.n, rollout::Leaving::wholly, call.now));
  }
  FLEET_TRY(auto const approved, registry::approve_enrolment(tx, device.id, text("key"), text("replaces"), call.deed(body.reason)));
  if (approved.key != device.key) FLEET_CHECK(services.rollouts->left(tx, approved.n, rollout::Leaving::wholly, call.now));  // what the board before did
  return device_reply(services, call, tx.connection(), approved);
}

Result<Reply> list_history(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const device, registry::load_device(reader, call.path_value("id")));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const found, registry::list_history(reader, device.n, call.actor.limits, page.after, page.limit));
  return list_reply(call, found.items, found.next);
}

Result<Reply> list_join_tokens(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const found, registry::list_join_tokens(reader, call.actor.limits, call.actor.name, page.after, page.limit));
  return list_reply(call, found.items, found.next);
}

Result<Reply> create_join_tokens(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const spec, registry::decode_join_token_spec(call.request.body));
  auto const deed = call.deed();
  FLEET_TRY(auto const tokens, registry::add_join_tokens(tx, services.random, spec, call.actor.limits, deed));
  std::vector<std::string> shown, kept;
  for (auto const& token : tokens) {
    shown.push_back(registry::join_token_json(token, spec, deed, true));
    kept.push_back(registry::join_token_json(token, spec, deed, false));
  }
  auto reply = list_reply(call, shown, "");
  reply.status = 201;
  reply.replay_body = list_reply(call, kept, "").body;
  return reply;
}

Result<Reply> delete_join_token(Services&, Call const& call, store::Tx& tx) {
  FLEET_CHECK(registry::revoke_join_token(tx, call.path_value("id"), call.deed()));
  Reply reply;
  reply.status = 204;
  return reply;
}

Result<Reply> enroll(Services& services, Call const& call) {
  FLEET_TRY(auto const request, wire::decode_enroll_request(call.request.body));
  FLEET_TRY(auto const response, registry::enrol(services, request, call.request.peer, call.deed()));
  Reply reply;
  reply.status = response.state == "active" ? 200 : 202;
  reply.body = wire::encode(response);
  return reply;
}

Result<Reply> renew(Services& services, Call const& call) {
  if (!call.request.peer || !call.request.peer->has_certificate) {
    return Error{Kind::unauthenticated, "no_certificate", "a renewal takes the certificate it renews", "enrol the device with a join token"};
  }
  FLEET_CHECK(registry::check_renewer(services.store.reader(), call.request.peer->key_sha256));
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, wire::kEnrollBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  auto const csr = reader.required_text("csr", 16 * 1024);
  FLEET_CHECK(wire::no_faults(faults, "renewal"));
  FLEET_TRY(auto const response, registry::renew(services, call.request.peer->key_sha256, csr, call.deed()));
  Reply reply;
  reply.body = wire::encode(response);
  return reply;
}

}  // namespace

std::vector<Route> const& registry_routes() {
  using enum net::Method;
  using P = Permission;
  constexpr std::uint64_t kSmall = 64 * 1024;
  static std::vector<Route> const routes{
      {get, "/api/v1/devices", P::read, kDeviceList, &list_devices},
      {get, "/api/v1/devices/{id}", P::read, kDeviceRead, &get_device},
      {patch, "/api/v1/devices/{id}", P::operate, kDeviceMove, &patch_device, kSmall},
      {del, "/api/v1/devices/{id}", P::operate, kDeviceChange, &delete_device, kSmall},
      {get, "/api/v1/devices/{id}/explain", P::read, kExplain, &explain_device},
      {get, "/api/v1/devices/{id}/history", P::read, kDeviceRead, &list_history},
      {get, "/api/v1/devices/{id}/telemetry", P::read, kDeviceRead, &list_latest},
      {post, "/api/v1/devices/{id}:approve", P::operate, kDeviceReplace, &approve_device, kSmall},
      {post, "/api/v1/devices/{id}:retire", P::operate, kDeviceChange, &retire_device, kSmall},
      {post, "/api/v1/devices/{id}:revoke", P::operate, kDeviceChange, &revoke_device, kSmall},
      {get, "/api/v1/device-tokens", P::operate, kTokenList, &list_join_tokens},
      {post, "/api/v1/device-tokens", P::operate, kTokenMake, &create_join_tokens, kSmall},
      {del, "/api/v1/device-tokens/{id}", P::operate, kTokenChange, &delete_join_token, kSmall},
      {post, "/device/v1/enroll", P::everyone, kOpen, &enroll, wire::kEnrollBytesMax, Listener::device, Pool::enrolment},
      {post, "/device/v1/renew", P::everyone, kOpen, &renew, wire::kEnrollBytesMax, Listener::device, Pool::enrolment},
  };
  return routes;
}

}  // namespace fleet::api
