#include "server/rollout/engine/decide.hpp"
#include "server/rollout/policy/states.hpp"

namespace fleet::rollout {

bool must_return(RolloutView const& view, DeviceRow const& row, registry::DeviceFacts const& device) {
  if (!row.exposed || row.state == device_state::kReverted) return false;
  auto const running = device.running.versions.find(view.rollout.model);
  return running == device.running.versions.end() || running->second == view.rollout.version;
}

bool selects(registry::Selector const& selector, std::string const& model, registry::DeviceFacts const& device, DeviceRow const* row) {
  auto seen = registry::view_of(device);
  if (row == nullptr || !selector.asks_running()) return selector.matches(seen);
  auto before = device.running.versions;
  if (row->from_version) before[model] = *row->from_version;
  else before.erase(model);
  seen.running = &before;
  return selector.matches(seen);
}

bool selects(RolloutView const& view, registry::DeviceFacts const& device, DeviceRow const* row) { return selects(view.selector, view.rollout.model, device, row); }

}  // namespace fleet::rollout
