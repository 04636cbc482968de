#include "server/rollout/shell/device_facts.hpp"

#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>

namespace fleet::rollout {

wire::Labels read_labels(std::string_view text) {
  wire::Labels out;
  if (text.size() <= 2) return out;
  boost::system::error_code fault;
  auto const value = boost::json::parse(boost::json::string_view(text.data(), text.size()), fault);
  if (fault || !value.is_object()) return out;
  for (auto const& member : value.get_object())
    if (auto const* const word = member.value().if_string()) out.emplace(member.key(), *word);
  return out;
}

Result<void> read_running(db::Connection& reader, DeviceFacts& device) {
  device.running.clear();
  device.known.clear();
  auto rows = reader.prepare(queries::kRunningOf);
  rows.bind_all(device.n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    device.running.emplace(rows.text(0), rows.text(1));
    if (!rows.is_null(2)) device.known.emplace(rows.text(0), rows.int64(2));
  }
}

registry::DeviceView view_of(DeviceFacts const& device) { return {device.id, device.hardware, "active", &device.labels, &device.running}; }

Result<DeviceFacts> load_device_facts(db::Connection& reader, std::int64_t device_n) {
  DeviceFacts out;
  auto row = reader.prepare(queries::kDeviceFacts);
  row.bind_all(device_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::not_found, "unknown_device", fmt::format("no device with number {}", device_n)};
  out.n = device_n;
  out.id = row.text(0);
  out.hardware = row.text(1);
  out.labels = read_labels(row.text_view(2));
  out.cache = row.int64(3) != 0;
  FLEET_CHECK(read_running(reader, out));
  return out;
}

Result<void> scan_selected(db::Connection& reader, registry::Selector const& selector, std::function<Result<void>(DeviceFacts const&)> const& take) {
  auto const hardware = selector.required_value("hardware");
  auto rows = reader.prepare(hardware ? queries::kScanHardware : queries::kScanDevices);
  if (hardware) rows.bind_all(*hardware);
  bool const asks_running = selector.asks_running();
  DeviceFacts device;
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    device.n = rows.int64(0);
    device.id = rows.text(1);
    device.hardware = rows.text(2);
    device.labels = read_labels(rows.text_view(3));
    if (asks_running) FLEET_CHECK(read_running(reader, device));
    if (!selector.matches(view_of(device))) continue;
    FLEET_CHECK(take(device));
  }
}

}  // namespace fleet::rollout
