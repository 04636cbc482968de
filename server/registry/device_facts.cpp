#include "server/registry/device_facts.hpp"

#include "server/registry/devices.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/queries.hpp"
#include "server/store/db/set.hpp"

#include <fmt/format.h>

namespace fleet::registry {

Result<Running> load_running(db::Connection& reader, std::int64_t device_n) {
  Running out;
  auto rows = reader.prepare(queries::kRunningOf);
  rows.bind_all(device_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.versions.emplace(rows.text(0), rows.text(1));
    if (!rows.is_null(2)) out.known.emplace(rows.text(0), rows.int64(2));
  }
}

namespace {

/// Steps to the end of rows that begin with a device's number, and hands on those of devices that are in `out`.
Result<void> add_to(std::map<std::int64_t, DeviceFacts>& out, db::Statement rows, void (*add)(db::Statement const&, DeviceFacts&)) {
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    if (auto const device = out.find(rows.int64(0)); device != out.end()) add(rows, device->second);
  }
}

db::Statement about(db::Connection& reader, db::Query const& query, std::span<std::int64_t const> devices) {
  auto rows = reader.prepare(query);
  db::bind_set(rows, devices);
  return rows;
}

}  // namespace

Result<std::map<std::int64_t, DeviceFacts>> load_active_facts(db::Connection& reader, std::span<std::int64_t const> devices) {
  std::map<std::int64_t, DeviceFacts> out;
  {
    auto rows = about(reader, queries::kFactsOfMany, devices);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      auto& device = out[rows.int64(0)];
      device.n = rows.int64(0);
      device.id = rows.text(1);
      device.hardware = rows.text(2);
      FLEET_TRY(device.labels, parse_labels(rows.text_view(3)));
      device.cache = rows.int64(4) != 0;
    }
  }
  FLEET_CHECK(add_to(out, about(reader, queries::kRunningOfMany, devices), [](db::Statement const& row, DeviceFacts& device) {
    device.running.versions.emplace(row.text(1), row.text(2));
    if (!row.is_null(3)) device.running.known.emplace(row.text(1), row.int64(3));
  }));
  FLEET_CHECK(
      add_to(out, about(reader, queries::kListsOfMany, devices), [](db::Statement const& row, DeviceFacts& device) { device.lists.insert(row.text(1)); }));
  return out;
}

DeviceView view_of(DeviceFacts const& device) { return {device.id, device.hardware, "active", &device.labels, &device.running.versions, &device.lists}; }

Result<DeviceFacts> load_device_facts(db::Connection& reader, std::int64_t device_n) {
  DeviceFacts out;
  auto row = reader.prepare(queries::kDeviceFacts);
  row.bind_all(device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::not_found, "unknown_device", fmt::format("no device with number {}", device_n)};
  out.n = device_n;
  out.id = row.text(0);
  out.hardware = row.text(1);
  FLEET_TRY(out.labels, parse_labels(row.text_view(2)));
  out.cache = row.int64(3) != 0;
  FLEET_TRY(out.running, load_running(reader, device_n));
  FLEET_TRY(out.lists, load_lists(reader, out.id));
  return out;
}

Result<void> scan_selected(db::Connection& reader, Selector const& selector, std::function<Result<void>(DeviceFacts const&)> const& take) {
  auto const hardware = selector.required_value("hardware");
  auto const list = selector.required_list();
  auto rows = reader.prepare(list ? queries::kScanListed : hardware ? queries::kScanActiveOf : queries::kScanActive);
  if (list) rows.bind_all(*list);
  else if (hardware) rows.bind_all(*hardware);
  bool const asks_running = selector.asks_running(), asks_groups = selector.asks_groups();
  DeviceFacts device;
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    device.n = rows.int64(0);
    device.id = rows.text(1);
    device.hardware = rows.text(2);
    FLEET_TRY(device.labels, parse_labels(rows.text_view(3)));
    if (asks_running) {
      FLEET_TRY(device.running, load_running(reader, device.n));
    }
    if (asks_groups) {
      FLEET_TRY(device.lists, load_lists(reader, device.id));
    }
    if (!selector.matches(view_of(device))) continue;
    FLEET_CHECK(take(device));
  }
}

}  // namespace fleet::registry
