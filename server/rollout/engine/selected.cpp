#include "server/rollout/engine/decide.hpp"

#include <algorithm>
#include <iterator>

/// Whom a rollout chooses, and who must leave it.
namespace fleet::rollout {
namespace {

/// Of whatever is shipped: the second of a test alone.
constexpr Arm kInstalling[] = {Arm::canary, Arm::against};

}  // namespace

bool ran_before(RolloutView const& view, DeviceRow const& row) {
  auto const shipped = view.rollout.shipped(row.arm);
  return installs(row.arm) && row.from_version == shipped.version && (!row.from_digest || *row.from_digest == shipped.digest);
}

bool must_return(RolloutView const& view, DeviceRow const& row, registry::DeviceFacts const& device) {
  if (!row.exposed || row.state == device_state::kReverted || view.rollout.keeps(row.arm) || ran_before(view, row)) return false;
  auto const running = device.running.versions.find(view.rollout.model);
  return running == device.running.versions.end() || running->second == view.rollout.version_of(row.arm);
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

bool sends_back(Desired const& desired, RolloutView const& view, registry::DeviceFacts const& device) {
  auto const runs = device.running.versions.find(desired.model);
  if (runs == device.running.versions.end() || runs->second == desired.version) return false;
  if (desired.target.action != wire::Action::install) return true;
  auto const known = device.running.known.find(desired.model);
  return known == device.running.known.end() || known->second > view.rollout.shipped(desired.arm).release_n;
}

std::optional<Arm> revoked_for(RolloutView const& view, DeviceRow const* row) {
  for (auto const arm : kInstalling)
    if (view.revoked(arm) && (row == nullptr || view.rollout.is_of_release(row->arm) == view.rollout.is_of_release(arm))) return arm;
  return std::nullopt;
}

bool is_ill(RolloutView const& view, DeviceRow const& row, std::string_view stratum) {
  auto const& rollout = view.rollout;
  return row.exposed && row.state != device_state::kFailed && !ran_before(view, row) && rollout.policy.on_harm == OnHarm::rollback && rollout.progress.quarantined.contains(stratum);
}

bool returns_to_revoked(ModelRollouts const& of_model, DeviceRow const& row) {
  auto const names_it = [&](auto const& view) {
    return std::any_of(std::begin(kInstalling), std::end(kInstalling), [&](Arm arm) { return view->rollout.version_of(arm) == *row.from_version && view->revoked(arm); });
  };
  return row.from_version && std::any_of(of_model.revoked.begin(), of_model.revoked.end(), names_it);
}

}  // namespace fleet::rollout
