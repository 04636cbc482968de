#include "server/registry/devices.hpp"

#include "core/wire/json.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/registry/queries.hpp"
#include "server/registry/row.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <charconv>

namespace fleet::registry {
namespace {

namespace json = boost::json;

constexpr std::size_t kErrorBytesMax = 64 * 1024;
/// What a device that never polled is judged by: the agent's default.
constexpr int kPollDefaultS = 900;
constexpr int kPollsUntilOffline = 3;

/// What a device told of an error: an object `{code,text,output}`, or null.
json::value error_or_null(std::string const& text) {
  if (text.empty()) return nullptr;
  auto parsed = wire::parse_json(text, kErrorBytesMax);
  if (parsed && parsed->is_object()) return std::move(*parsed);
  return json::object{{"code", text}, {"text", text}, {"output", ""}};
}

bool works(ModelRow const& row) { return row.state != "idle" && row.state != "committed" && !row.version.empty(); }

/// The update under way, or else the latest that did not end well; null when all is settled.
json::value update_json(std::vector<ModelRow> const& models) {
  ModelRow const* newest = nullptr;
  for (auto const& row : models) {
    if (works(row) && (!newest || row.since > newest->since)) newest = &row;
  }
  if (!newest) return nullptr;
  return json::object{{"model", newest->model},
                      {"version", newest->version},
                      {"state", newest->state},
                      {"rollout", wire::text_or_null(newest->rollout)},
                      {"since", wire::time_or_null(newest->since)},
                      {"error", error_or_null(newest->error)}};
}

json::object running_json(std::vector<ModelRow> const& models) {
  json::object out;
  for (auto const& row : models) {
    if (row.running) out[row.model] = *row.running;
    if (row.running_unknown) out[row.model] = nullptr;
  }
  return out;
}

/// Of models whose device runs another variant than its hardware's own.
json::object variants_json(std::vector<ModelRow> const& models) {
  json::object out;
  for (auto const& row : models)
    if (!row.variant.empty()) out[row.model] = row.variant;
  return out;
}

/// One row of kHistory, as the API lists it.
std::string history_json(db::Statement const& row) {
  return json::serialize(json::object{{"time", to_rfc3339(from_unix_ms(row.int64(1)))},
                                      {"received", to_rfc3339(from_unix_ms(row.int64(2)))},
                                      {"model", row.text(3)},
                                      {"version", row.text(4)},
                                      {"state", row.text(5)},
                                      {"rollout", wire::text_or_null(row.maybe_text(6).value_or(""))},
                                      {"attempt", row.int64(7)},
                                      {"error", error_or_null(row.maybe_text(8).value_or(""))}});
}

}  // namespace

std::string cache_json(std::optional<std::string> const& models) { return models ? fmt::format(R"({{"models":{}}})", *models) : "null"; }

Result<wire::Labels> parse_labels(std::string_view text) {
  if (text == "{}") return wire::Labels{};
  auto const parsed = wire::parse_own(text);
  if (!parsed.is_object()) return Error{Kind::corrupt, "bad_labels", fmt::format("stored labels are no object: {}", text.substr(0, 80))};
  wire::Labels out;
  for (auto const& member : parsed.get_object()) {
    auto const& value = member.value();
    out.emplace(member.key(), value.is_string() ? std::string(value.get_string()) : json::serialize(value));
  }
  return out;
}

std::string labels_json(wire::Labels const& labels) { return json::serialize(wire::text_object(labels)); }

Result<Device> read_device(db::Statement& row) {
  Device out;
  out.n = row.int64(0);
  out.id = row.text(1);
  out.hardware = row.text(2);
  out.state = row.text(3);
  FLEET_TRY(out.labels, parse_labels(row.text_view(4)));
  FLEET_TRY(out.reported, parse_labels(row.text_view(5)));
  out.key = row.digest(6);
  out.not_after = from_unix_ms(row.int64(7));
  out.agent = row.text(8);
  out.revision = row.int64(9);
  out.created_at = from_unix_ms(row.int64(10));
  out.seen_at = from_unix_ms(row.int64(11));
  out.poll_every_s = static_cast<int>(row.int64(12));
  out.clone_suspected_at = from_unix_ms(row.int64(13));
  out.cache = row.maybe_text(14);
  return out;
}

Result<Pending> read_pending(db::Statement& row) {
  Pending out;
  out.device_id = row.text(0);
  out.key = row.digest(1);
  out.hardware = row.text(2);
  FLEET_TRY(out.labels, parse_labels(row.text_view(3)));
  FLEET_TRY(out.reported, parse_labels(row.text_view(4)));
  out.token_id = row.text(5);
  out.created_at = from_unix_ms(row.int64(6));
  return out;
}

Result<Device> load_device(db::Connection& connection, std::string_view id) {
  auto row = connection.prepare(queries::kDeviceById);
  row.bind(1, id);
  FLEET_TRY(bool const found, row.step());
  if (!found) {
    return Error{Kind::not_found, "unknown_device", fmt::format("there is no device '{}'", id), "`fleetctl device list` shows those there are"};
  }
  return read_device(row);
}

Result<std::vector<ModelRow>> load_models(db::Connection& connection, std::int64_t device_n, Limits const& limits) {
  std::vector<ModelRow> out;
  auto row = connection.prepare(queries::kModels);
  row.bind(1, device_n);
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return out;
    if (!limits.covers_model(row.text_view(0))) continue;
    ModelRow model;
    model.model = row.text(0);
    model.running = row.maybe_text(1);
    model.running_unknown = !model.running && !row.is_null(2);
    model.version = row.maybe_text(3).value_or("");
    model.state = row.text(4);
    model.rollout = row.maybe_text(5).value_or("");
    model.since = from_unix_ms(row.int64(6));
    model.error = row.maybe_text(7).value_or("");
    model.waiting = row.maybe_text(8).value_or("");
    model.to_fetch = row.int64(9);
    model.variant = row.maybe_text(10).value_or("");
    model.retest = row.maybe_text(11).value_or("");
    out.push_back(std::move(model));
  }
}

DeviceView view_of(Device const& device, std::map<std::string, std::string> const* running, std::set<std::string> const* lists) {
  return {device.id, device.hardware, device.state, &device.labels, running, lists};
}

SysTime last_seen(store::Store& store, Device const& device) { return std::max(device.seen_at, store.last_contact(device.n)); }

bool is_online(store::Store& store, Device const& device, SysTime now) {
  auto const seen = last_seen(store, device);
  auto const every = seconds(device.poll_every_s > 0 ? device.poll_every_s : kPollDefaultS);
  return device.state == "active" && seen != SysTime{} && now - seen <= kPollsUntilOffline * every;
}

Result<std::string> device_json(store::Store& store, db::Connection& connection, Device const& device, Limits const& limits, SysTime now) {
  FLEET_TRY(auto const models, load_models(connection, device.n, limits));
  return json::serialize(json::object{{"id", device.id},
                                      {"hardware", device.hardware},
                                      {"labels", wire::text_object(device.labels)},
                                      {"reported", wire::text_object(device.reported)},
                                      {"state", device.state},
                                      {"online", is_online(store, device, now)},
                                      {"last_seen", wire::time_or_null(last_seen(store, device))},
                                      {"agent", wire::text_or_null(device.agent)},
                                      {"running", running_json(models)},
                                      {"variants", variants_json(models)},
                                      {"update", update_json(models)},
                                      {"key", device.key.hex()},
                                      {"certificate_expires", wire::time_or_null(device.not_after)},
                                      {"clone_suspected_at", wire::time_or_null(device.clone_suspected_at)},
                                      {"cache", json::parse(cache_json(device.cache))},
                                      {"created_at", to_rfc3339(device.created_at)}});
}

Result<DevicePage> list_history(db::Connection& connection, std::int64_t device_n, Limits const& limits, std::string_view after, int limit) {
  std::int64_t before = INT64_MAX;
  if (!after.empty()) {
    auto const [end, failed] = std::from_chars(after.data(), after.data() + after.size(), before);
    if (failed != std::errc{} || end != after.data() + after.size()) {
      return Error{Kind::bad_input, "bad_cursor", "cursor: not one of a device's history"};
    }
  }
  auto row = connection.prepare(queries::kHistory);
  row.bind_all(device_n, before, limit + 1, limits.model);
  DevicePage page;
  std::int64_t last = 0;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return page;
    if (page.items.size() == static_cast<std::size_t>(limit)) {
      page.next = std::to_string(last);
      return page;
    }
    last = row.int64(0);
    page.items.push_back(history_json(row));
  }
}

Result<std::vector<std::pair<std::string, std::int64_t>>> count_by_state(db::Connection& reader) {
  auto row = reader.prepare(queries::kDevicesByState);
  std::vector<std::pair<std::string, std::int64_t>> out;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return out;
    out.emplace_back(row.text(0), row.int64(1));
  }
}

}  // namespace fleet::registry
