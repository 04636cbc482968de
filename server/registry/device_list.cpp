#include "core/wire/json.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/registry/devices.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/queries.hpp"
#include "server/registry/row.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <charconv>

namespace fleet::registry {
namespace {

namespace json = boost::json;

/// Rows a step of the scan: a reader's snapshot is not held for the whole fleet.
constexpr int kScanRows = 1'000;

/// What is asked for, and what is covered.
std::vector<Selector const*> selectors_of(DeviceFilter const& filter) {
  std::vector<Selector const*> out;
  for (auto const& selector : filter.selectors) out.push_back(&selector);
  if (filter.limits.devices) out.push_back(&*filter.limits.devices);
  return out;
}

bool match_all(std::vector<Selector> const& selectors, DeviceView const& view) {
  return std::all_of(selectors.begin(), selectors.end(), [&](Selector const& selector) { return selector.matches(view); });
}

/// The first value that all devices asked for must have.
std::optional<std::string> required(DeviceFilter const& filter, std::string_view key) {
  if (key == "state" && !filter.state.empty()) return filter.state;
  for (auto const* selector : selectors_of(filter)) {
    if (auto value = selector->required_value(key)) return value;
  }
  return std::nullopt;
}

/// Binds what the scan is narrowed by; what it cannot be narrowed by, `fits` judges.
void bind_filter(db::Statement& scan, DeviceFilter const& filter) {
  scan.bind(2, required(filter, "state"));
  scan.bind(3, required(filter, "hardware"));
  scan.bind(4, required(filter, "id"));
  std::optional<std::string> label_path, label_value, model, version;
  for (auto const* selector : selectors_of(filter)) {
    if (auto const label = selector->required_label(); label && !label_path) {
      label_path = fmt::format("$.\"{}\"", label->first);
      label_value = label->second;
    }
  }
  if (auto const running = required(filter, "running")) {
    model = running->substr(0, running->find('@'));
    version = running->substr(running->find('@') + 1);
  }
  scan.bind(5, label_path);
  scan.bind(6, label_value);
  scan.bind(7, model);
  scan.bind(8, version);
  std::optional<std::string> origin_model, origin_version, dataset;
  if (filter.origin && !filter.origin->dataset.empty()) dataset = filter.origin->dataset;
  else if (filter.origin) origin_model = filter.origin->model, origin_version = filter.origin->version;
  scan.bind(10, origin_model);
  scan.bind(11, origin_version);
  scan.bind(12, dataset);
  scan.bind(13, filter.limits.model);
  std::optional<std::string> list;
  for (auto const* selector : selectors_of(filter))
    if (!list) list = selector->required_list();
  scan.bind(14, list);
}

bool asks_groups(DeviceFilter const& filter) {
  auto const selectors = selectors_of(filter);
  return std::any_of(selectors.begin(), selectors.end(), [](Selector const* selector) { return selector->asks_groups(); });
}

Result<bool> fits(store::Store& store, db::Connection& connection, DeviceFilter const& filter, Device const& device, SysTime now) {
  if (!filter.state.empty() && device.state != filter.state) return false;
  if (filter.online && *filter.online != is_online(store, device, now)) return false;
  if (filter.last_seen_before && last_seen(store, device) >= *filter.last_seen_before) return false;
  Running running;
  std::map<std::string, std::string> shown;
  auto const selectors = selectors_of(filter);
  if (std::any_of(selectors.begin(), selectors.end(), [](Selector const* selector) { return selector->asks_running(); })) {
    FLEET_TRY(running, load_running(connection, device.n));
    shown = running.versions;
    std::erase_if(shown, [&](auto const& one) { return !filter.limits.covers_model(one.first); });
  }
  std::set<std::string> lists;
  if (asks_groups(filter)) {
    FLEET_TRY(lists, load_lists(connection, device.id));
  }
  return filter.limits.covers(view_of(device, &running.versions, &lists)) && match_all(filter.selectors, view_of(device, &shown, &lists));
}

Result<std::int64_t> read_position(std::string_view after) {
  std::int64_t n = 0;
  if (after.empty()) return n;
  auto const [end, failed] = std::from_chars(after.data(), after.data() + after.size(), n);
  if (failed != std::errc{} || end != after.data() + after.size()) {
    return Error{Kind::bad_input, "bad_cursor", "cursor: not one of the list of devices"};
  }
  return n;
}

/// The devices of one step of the scan, after device number `n`.
Result<std::vector<Device>> scan_step(db::Connection& connection, DeviceFilter const& filter, std::int64_t n) {
  auto scan = connection.prepare(queries::kScan);
  scan.bind(1, n);
  bind_filter(scan, filter);
  scan.bind(9, kScanRows);
  std::vector<Device> out;
  while (true) {
    FLEET_TRY(bool const found, scan.step());
    if (!found) return out;
    FLEET_TRY(auto device, read_device(scan));
    out.push_back(std::move(device));
  }
}

json::object pending_object(Pending const& pending) {
  return {{"id", pending.device_id},
          {"hardware", pending.hardware},
          {"labels", wire::text_object(pending.labels)},
          {"reported", wire::text_object(pending.reported)},
          {"state", "pending"},
          {"online", false},
          {"last_seen", nullptr},
          {"agent", nullptr},
          {"running", json::object{}},
          {"variants", json::object{}},
          {"update", nullptr},
          {"key", pending.key.hex()},
          {"certificate_expires", nullptr},
          {"clone_suspected_at", nullptr},
          {"cache", nullptr},
          {"created_at", to_rfc3339(pending.created_at)}};
}

}  // namespace

Result<void> check_origin(db::Connection& connection, Origin const& origin, Limits const& limits) {
  auto row = connection.prepare(queries::kOriginKnown);
  row.bind_all(origin.model, origin.version, origin.dataset.empty() ? std::nullopt : std::optional(origin.dataset), limits.model);
  FLEET_TRY(bool const known, row.step());
  if (known) return {};
  if (origin.dataset.empty())
    return Error{Kind::not_found, "unknown_release", fmt::format("there is no release {}@{}", origin.model, origin.version), "fleetctl release list"};
  return Error{Kind::not_found, "unknown_dataset", fmt::format("no release is said to be made from data set {}", origin.dataset.substr(0, 200)),
               "is the name right? fleetctl release get shows each release's data sets"};
}

Result<DevicePage> list_devices(store::Store& store, db::Connection& connection, DeviceFilter const& filter, std::string_view after, int limit, SysTime now) {
  FLEET_TRY(auto n, read_position(after));
  DevicePage page;
  while (true) {
    FLEET_TRY(auto const devices, scan_step(connection, filter, n));
    for (auto const& device : devices) {
      FLEET_TRY(bool const wanted, fits(store, connection, filter, device, now));
      if (wanted && page.items.size() == static_cast<std::size_t>(limit)) {
        page.next = std::to_string(n);
        return page;
      }
      n = device.n;
      if (!wanted) continue;
      FLEET_TRY(auto text, device_json(store, connection, device, filter.limits, now));
      page.items.push_back(std::move(text));
    }
    if (devices.size() < static_cast<std::size_t>(kScanRows)) return page;
  }
}

Result<DevicePage> list_pending(db::Connection& connection, DeviceFilter const& filter, std::string_view after, int limit) {
  auto row = connection.prepare(queries::kPending);
  auto const slash = after.rfind('/');
  Digest key;
  if (!after.empty()) {
    auto const parsed = slash == std::string_view::npos ? Result<Digest>(Digest{}) : Digest::parse(after.substr(slash + 1));
    if (slash == std::string_view::npos || !parsed) return Error{Kind::bad_input, "bad_cursor", "cursor: not one of the list of pending enrolments"};
    key = *parsed;
  }
  row.bind_all(after.substr(0, after.empty() ? 0 : slash), key);
  DevicePage page;
  std::string last;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return page;
    if (page.items.size() == static_cast<std::size_t>(limit)) {
      page.next = last;
      return page;
    }
    FLEET_TRY(auto const pending, read_pending(row));
    last = pending.device_id + "/" + pending.key.hex();
    std::set<std::string> lists;
    if (asks_groups(filter)) {
      FLEET_TRY(lists, load_lists(connection, pending.device_id));
    }
    DeviceView const view{pending.device_id, pending.hardware, "pending", &pending.labels, nullptr, &lists};
    if (filter.limits.covers(view) && match_all(filter.selectors, view)) page.items.push_back(json::serialize(pending_object(pending)));
  }
}

}  // namespace fleet::registry
