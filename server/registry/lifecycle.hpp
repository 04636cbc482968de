#pragma once

#include "server/registry/devices.hpp"

#include <map>
#include <optional>
#include <string>

namespace fleet::registry {

/// A change of labels: a value sets, nothing removes (RFC 7396).
using LabelPatch = std::map<std::string, std::optional<std::string>>;

/// Labels and states of devices that are registered. Each change is one audit entry, raises the device's epoch and so bites at its next request.

/// Decodes `{"labels":{"k":"v","gone":null}}`. @errors bad_input (names, lengths, a field's name used as a label)
[[nodiscard]] Result<LabelPatch> decode_label_patch(std::string_view body);
/// Names and values as labels may have them, at most 64. @errors bad_input
[[nodiscard]] Result<void> check_labels(wire::Labels const& labels);
[[nodiscard]] Result<Device> patch_labels(store::Tx& tx, Device const& device, LabelPatch const& patch, events::Deed const& deed);

/// Moves a device to `retired` or `revoked`; where it is already, nothing happens. A revoked one stays revoked. @errors conflict
[[nodiscard]] Result<Device> set_state(store::Tx& tx, Device const& device, std::string_view state, events::Deed const& deed);
/// Forgets a retired or revoked device and all that hangs on it. @errors conflict (code `device_active`)
[[nodiscard]] Result<void> remove_device(store::Tx& tx, Device const& device, events::Deed const& deed);

}  // namespace fleet::registry
