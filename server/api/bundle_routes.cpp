#include "server/api/route.hpp"
#include "server/catalog/releases.hpp"
#include "server/content/recipes.hpp"
#include "server/delivery/bundles.hpp"
#include "server/fronts/agent/receipts.hpp"
#include "server/registry/groups.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <set>

namespace fleet::api {
namespace {

namespace json = boost::json;
using delivery::Bundle;

constexpr std::size_t kSelectorMax = registry::Selector::kBytesMax;
constexpr std::size_t kBodyMax = 2 * kSelectorMax;
constexpr std::size_t kDevicesAPiece = 50;  ///< a transaction: some ten milliseconds of the writer
constexpr std::size_t kLeftOutShown = 100;

constexpr Scope kExport{Bound::named, Bound::named, {{Place::body, "model", Thing::moved_model}, {Place::body, "selector", Thing::devices}}};
constexpr Scope kBundle{Bound::named, Bound::named, {{Place::path, "id", Thing::bundle}}};
// What a receipt tells is of every model that its device has.
constexpr Scope kReceipt{Bound::closed, Bound::named, {{Place::body, "device", Thing::device}}};

json::object to_json(Bundle const& bundle) {
  return {{"id", bundle.id},
          {"model", bundle.model},
          {"version", bundle.version},
          {"selector", bundle.selector},
          {"created_by", bundle.created_by},
          {"created_at", to_rfc3339(bundle.created_at)},
          {"expires_at", to_rfc3339(bundle.expires_at)},
          {"devices", bundle.devices},
          {"taken", bundle.taken}};
}

struct Wanted {
  std::string model, version, selector, reason;
  Millis expires_in = delivery::kBundleLifetime;
};
Result<Wanted> decode(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body.empty() ? "{}" : body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Wanted out;
  out.model = reader.required_text("model", 64);
  out.version = reader.required_text("version", 64);
  out.selector = reader.text("selector", kSelectorMax, {});
  out.reason = reader.text("reason", 1'000, {});
  out.expires_in = reader.duration("expires_in").value_or(out.expires_in);
  if (out.expires_in < std::chrono::minutes{1} || out.expires_in > delivery::kBundleLifetimeMax)
    reader.fault("expires_in", fmt::format("from 1m to {}", fleet::to_string(delivery::kBundleLifetimeMax)));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return out;
}

/// The devices that the selector names now. Which of them a bundle can speak to is judged one by one.
Result<std::vector<registry::DeviceFacts>> find_devices(db::Connection& reader, registry::Limits const& limits, std::string const& text) {
  FLEET_TRY(auto const selector, registry::read_selector(reader, text));
  std::vector<registry::DeviceFacts> out;
  FLEET_CHECK(registry::scan_selected(reader, selector, [&](registry::DeviceFacts const& device) -> Result<void> {
    if (!limits.covers(registry::view_of(device))) return {};
    if (out.size() == delivery::kBundleDevicesMax)
      return Error{Kind::too_large, "too_many_devices", fmt::format("the selector names more than {} devices", delivery::kBundleDevicesMax), "narrow it, and export several bundles"};
    out.push_back(device);
    return {};
  }));
  if (out.empty()) return Error{Kind::not_found, "no_device", fmt::format("no active device is selected by ({})", text.empty() ? "all devices" : text)};
  return out;
}

/// Orders for all of them, in pieces.
struct Ordered {
  std::set<std::string> hardware;
  std::vector<delivery::LeftOut> left_out;
  std::size_t devices = 0;
};
Result<Ordered> order_all(Services& services, Bundle const& bundle, delivery::BundleRelease const& release, std::vector<registry::DeviceFacts> const& devices, events::Deed const& deed) {
  Ordered out;
  FLEET_CHECK(services.store.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return delivery::add_bundle(tx, bundle, release, deed); }));
  for (std::size_t at = 0; at < devices.size(); at += kDevicesAPiece) {
    Ordered piece;
    auto const job = [&](store::Tx& tx) -> Result<void> {
      piece = {};
      for (auto i = at; i < std::min(devices.size(), at + kDevicesAPiece); ++i) {
        FLEET_TRY(auto left_out, delivery::add_order(tx, *services.rollouts, bundle, release, devices[i], deed.at));
        if (left_out) piece.left_out.push_back(*std::move(left_out));
        else piece.hardware.insert(devices[i].hardware), ++piece.devices;
      }
      return {};
    };
    FLEET_CHECK(services.store.write_wait(store::Lane::verbs, job));
    out.devices += piece.devices;
    out.hardware.merge(piece.hardware);
    out.left_out.insert(out.left_out.end(), piece.left_out.begin(), piece.left_out.end());
  }
  return out;
}

Result<Reply> create_bundle(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, decode(call.request.body));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const named, catalog::load_release(reader, wanted.model, wanted.version));  // an alias counts
  FLEET_TRY(auto const release, delivery::load_bundle_release(reader, named.model, named.version));
  FLEET_TRY(auto const devices, find_devices(reader, call.actor.limits, wanted.selector));
  Bundle bundle;
  bundle.id = make_ulid(delivery::kBundlePrefix, to_unix_ms(call.now), services.random);
  bundle.model = release.model;
  bundle.version = release.version;
  FLEET_TRY(bundle.selector, registry::kept_text(reader, wanted.selector));
  bundle.created_by = call.actor.name;
  bundle.created_at = call.now;
  bundle.expires_at = call.now + wanted.expires_in;
  FLEET_TRY(auto const ordered, order_all(services, bundle, release, devices, call.deed(wanted.reason)));
  if (ordered.devices == 0) {
    Error none{Kind::conflict, "all_left_out", fmt::format("none of {} devices can have {}@{} by bundle", devices.size(), bundle.model, bundle.version)};
    for (auto const& one : ordered.left_out)
      if (none.errors.size() < kLeftOutShown) none.errors.push_back({"/selector", fmt::format("{}: {}", one.device, one.text)});
    return none;
  }
  bundle.devices = static_cast<std::int64_t>(ordered.devices);
  auto object = to_json(bundle);
  json::array hardware, left_out;
  for (auto const& name : ordered.hardware) hardware.push_back(json::value(name));
  for (auto const& one : ordered.left_out)
    if (left_out.size() < kLeftOutShown) left_out.push_back(json::object{{"device", one.device}, {"code", one.code}, {"text", one.text}});
  object["hardware"] = std::move(hardware);
  object["left_out"] = std::move(left_out);
  object["left_out_count"] = ordered.left_out.size();
  Reply reply;
  reply.status = 201;
  reply.body = json::serialize(object);
  reply.headers.push_back({"Location", "/api/v1/bundles/" + bundle.id});
  return reply;
}

Result<Reply> list_bundles(Services&, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const found, delivery::list_bundles(reader, page.after, page.limit + 1));
  std::vector<std::string> items;
  auto const shown = std::min(found.size(), static_cast<std::size_t>(page.limit));
  for (std::size_t i = 0; i < shown; ++i) items.push_back(json::serialize(to_json(found[i])));
  return list_reply(call, items, found.size() > shown ? found[shown - 1].id : std::string());
}

Result<Reply> get_bundle(Services&, Call const& call, db::Connection& reader) {
  FLEET_TRY(auto const bundle, delivery::load_bundle(reader, call.path_value("id")));
  Reply reply;
  reply.body = json::serialize(to_json(bundle));
  return reply;
}

Result<Reply> list_directives(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"limit", "cursor"}));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const after, read_number_cursor(page, 0));
  FLEET_TRY(auto const bundle, delivery::load_bundle(reader, call.path_value("id")));
  FLEET_TRY(auto const orders, delivery::sign_orders(reader, *services.keys, bundle, after, page.limit, call.now));
  std::vector<std::string> items;
  for (auto const& one : orders.items)
    items.push_back(json::serialize(json::object{{"device", one.device}, {"hardware", one.hardware}, {"directive", one.envelope}}));
  return list_reply(call, items, orders.next == 0 ? std::string() : std::to_string(orders.next));
}

/// Of a protected release: what its devices make its files of.
Result<Reply> get_routes(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"release", "hardware"}));
  auto const digest = Digest::parse(call.query_value("release"));
  if (!digest) return Error{Kind::bad_input, "bad_query", "release: expected the SHA-256 of a release.json"};
  auto& reader = services.store.reader();
  FLEET_TRY(auto const bundle, delivery::load_bundle(reader, call.path_value("id")));
  FLEET_TRY(auto const named, delivery::load_bundled_document(reader, bundle.id, *digest));
  FLEET_TRY(auto const release, wire::decode_release(named.document));
  auto const packed = routes::pack_routes(reader, *services.keys, release, *digest, std::string(call.query_value("hardware")));
  if (!packed && packed.error().code == "encryption") FLEET_CHECK(routes::want_encrypted(services.store, named.n, call.now));
  FLEET_CHECK(packed);
  json::array objects;
  for (auto const& [sha256, size] : packed->objects) objects.push_back(json::object{{"sha256", sha256.hex()}, {"size", size}});
  Reply reply;
  reply.body = json::serialize(json::object{{"routes", packed->envelope}, {"objects", std::move(objects)}});
  return reply;
}

Result<Reply> accept_receipt(Services& services, Call const& call) {
  FLEET_TRY(auto const line, wire::decode_signed_receipt(call.request.body));
  FLEET_TRY(auto opened, fronts::open_receipt(services.store.reader(), line));
  FLEET_TRY(auto const taken, fronts::accept_receipt(services.store, *services.rollouts, std::move(opened), call.deed(), services.telemetry));
  json::object acked;
  for (auto const tier : wire::kTiers) acked[wire::tier_name(tier)] = taken.acked[tier];
  Reply reply;
  reply.body = json::serialize(json::object{{"device", line.device}, {"items", taken.items}, {"new", taken.fresh}, {"acked", std::move(acked)}});
  return reply;
}

}  // namespace

std::vector<Route> const& bundle_routes() {
  using enum net::Method;
  using P = Permission;
  static std::vector<Route> const routes{
      {get, "/api/v1/bundles", P::operate, kWhole, &list_bundles},
      {post, "/api/v1/bundles", P::operate, kExport, &create_bundle, kBodyMax},
      {get, "/api/v1/bundles/{id}", P::operate, kBundle, &get_bundle},
      {get, "/api/v1/bundles/{id}/directives", P::operate, kBundle, &list_directives},
      {get, "/api/v1/bundles/{id}/routes", P::operate, kBundle, &get_routes},
      {post, "/api/v1/receipts", P::operate, kReceipt, &accept_receipt, wire::kReceiptBytesMax},
  };
  return routes;
}

}  // namespace fleet::api
