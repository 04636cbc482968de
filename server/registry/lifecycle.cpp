#include "server/registry/lifecycle.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"
#include "server/events/audit.hpp"
#include "server/registry/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::registry {
namespace {

constexpr std::size_t kLabelsMax = 64;
constexpr std::size_t kValueMax = 256;
constexpr std::size_t kBodyMax = 64 * 1024;

struct Edge {
  std::string_view from, to;
};
constexpr auto kEdges = std::to_array<Edge>({
    {"active", "retired"},
    {"active", "revoked"},
    {"retired", "revoked"},
});

Result<void> check_label(std::string_view key, std::string_view value) {
  FLEET_CHECK(check_id("label", key));
  if (is_reserved_key(key)) {
    return Error{Kind::bad_input, "reserved_label", fmt::format("label '{}': a field of every device has that name", key), "choose another name"};
  }
  if (value.size() > kValueMax || std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; })) {
    return Error{Kind::bad_input, "bad_label", fmt::format("label '{}': a value has at most {} bytes and no control characters", key, kValueMax)};
  }
  return {};
}

std::string state_json(std::string_view state) { return fmt::format(R"({{"state":"{}"}})", state); }

}  // namespace

Result<void> check_labels(wire::Labels const& labels) {
  if (labels.size() > kLabelsMax) {
    return Error{Kind::bad_input, "too_many_labels", fmt::format("{} labels, at most {} are taken", labels.size(), kLabelsMax)};
  }
  for (auto const& [key, value] : labels) FLEET_CHECK(check_label(key, value));
  return {};
}

Result<LabelPatch> decode_label_patch(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  LabelPatch out;
  auto const* labels = reader.find("labels");
  if (!labels || !labels->is_object()) {
    reader.fault("labels", "required: an object of labels, null removes one");
  } else {
    for (auto const& member : labels->get_object()) {
      if (member.value().is_null()) {
        out.emplace(member.key(), std::nullopt);
      } else if (member.value().is_string()) {
        out.emplace(member.key(), std::string(member.value().get_string()));
      } else {
        faults.push_back({fmt::format("/labels/{}", std::string_view(member.key())), "expected a string or null"});
      }
    }
  }
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return out;
}

Result<Device> patch_labels(store::Tx& tx, Device const& device, LabelPatch const& patch, events::Deed const& deed) {
  auto labels = device.labels;
  for (auto const& [key, value] : patch) {
    if (value) {
      labels[key] = *value;
    } else {
      labels.erase(key);
    }
  }
  FLEET_CHECK(check_labels(labels));
  if (labels == device.labels) return device;
  auto set = tx.prepare(queries::kSetLabels);
  set.bind_all(device.n, labels_json(labels));
  FLEET_CHECK(set.run());
  FLEET_CHECK(events::record(tx, deed, "device.labelled", "device/" + device.id, labels_json(device.labels), labels_json(labels)));
  tx.raise_device_epoch(device.n);
  return load_device(tx.connection(), device.id);
}

Result<Device> set_state(store::Tx& tx, Device const& device, std::string_view state, events::Deed const& deed) {
  if (device.state == state) return device;
  bool const allowed = std::any_of(kEdges.begin(), kEdges.end(), [&](Edge const& edge) { return edge.from == device.state && edge.to == state; });
  if (!allowed) {
    return Error{Kind::conflict, "device_" + device.state, fmt::format("device {} is {} and cannot become {}", device.id, device.state, state),
                 "delete it, or enrol it again and approve that"};
  }
  auto set = tx.prepare(queries::kSetState);
  set.bind_all(device.n, state);
  FLEET_CHECK(set.run());
  FLEET_CHECK(events::record(tx, deed, fmt::format("device.{}", state), "device/" + device.id, state_json(device.state), state_json(state)));
  tx.raise_device_epoch(device.n);
  return load_device(tx.connection(), device.id);
}

Result<void> remove_device(store::Tx& tx, Device const& device, events::Deed const& deed) {
  if (device.state == "active") {
    return Error{Kind::conflict, "device_active", fmt::format("device {} is active", device.id), "retire or revoke it first"};
  }
  auto drop = tx.prepare(queries::kDropAllPending);
  drop.bind(1, device.id);
  FLEET_CHECK(drop.run());
  auto remove = tx.prepare(queries::kDeleteDevice);
  remove.bind(1, device.n);
  FLEET_CHECK(remove.run());
  FLEET_CHECK(events::record(tx, deed, "device.deleted", "device/" + device.id, state_json(device.state)));
  tx.raise_device_epoch(device.n);
  return {};
}

}  // namespace fleet::registry
