#pragma once

#include "server/rollout/engine/desired.hpp"
#include "server/rollout/engine/snapshot.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

/// What one device should run. Pure: a snapshot, the device and its own rows in, the desired state out.
namespace fleet::rollout {

/// The device's row in a rollout.
struct DeviceRow {
  std::string state;
  bool exposed = false;
  std::optional<std::string> from_version;
  std::optional<Digest> from_digest;
  std::int64_t attempt = 1;
  std::string error = {};  ///< what the device said when it failed: "golden_mismatch: line 3 differs"
  Arm arm = Arm::canary;   ///< of a control, `attempt` is the window that it proves in
  int stage = 0;
  std::optional<Millis> again = {};  ///< it failed and tries again, from this service time on; 0: a person asked
};
using DeviceRows = std::map<std::int64_t, DeviceRow>;  ///< by the rollout's number

/// It ran the release when it was told: there is nothing that it could return to.
[[nodiscard]] bool ran_before(RolloutView const& view, DeviceRow const& row);
/// True while the device runs, as far as is known, what `view` took back.
[[nodiscard]] bool must_return(RolloutView const& view, DeviceRow const& row, registry::DeviceFacts const& device);

/// Does the selector choose this device? For a device that switched, what it ran before counts, or it would drop out by switching.
[[nodiscard]] bool selects(RolloutView const& view, registry::DeviceFacts const& device, DeviceRow const* row);
[[nodiscard]] bool selects(registry::Selector const& selector, std::string const& model, registry::DeviceFacts const& device, DeviceRow const* row);

/// When a device asks, and what of others bears on the answer.
struct Asking {
  Instant now;
  std::map<std::string, std::int64_t, std::less<>> under_way = {};  ///< by label of `limits.per`: other devices at this one's site that hold a place
};
/// The arm of the rollout whose release was revoked for this device: of a test's two the one that it has, and either where it has none of them yet.
[[nodiscard]] std::optional<Arm> revoked_for(RolloutView const& view, DeviceRow const* row);
/// It ran the release, and its stratum was quarantined: it is told nothing but to return, as where the whole rollout is taken back.
[[nodiscard]] bool is_ill(RolloutView const& view, DeviceRow const& row, std::string_view stratum);
/// Whether the version that the device ran before was withdrawn, too.
[[nodiscard]] bool returns_to_revoked(ModelRollouts const& of_model, DeviceRow const& row);
/// Would the target send the device from what it runs to an older release, or to none? What the catalog does not know counts as newer.
[[nodiscard]] bool sends_back(Desired const& desired, RolloutView const& view, registry::DeviceFacts const& device);

/// The rule of docs/protocol.md, "What a device should run", for one model. A target that returns carries the version; its path, length and
/// digest are the caller's to fill in. `retry_soon`: the answer changes without an event, when a limit frees.
struct ModelDecision {
  Desired desired;
  bool retry_soon = false;
  std::optional<SysTime> valid_until = {};  ///< the answer changes then at the latest: a freeze ends
  bool beyond_plan = false;                 ///< it came since the plan, and others that did are at work: no window waits for it
  std::optional<Site> waits_at = {};        ///< all places of this site are taken: the answer changes when one is freed
  std::string holder = {};  ///< id of the live rollout that the device is in, or comes to, or of the one that it returns from; empty: none
};
[[nodiscard]] ModelDecision decide_model(Snapshot const& snapshot, std::string const& model, registry::DeviceFacts const& device, DeviceRows const& rows, Asking const& asking);

}  // namespace fleet::rollout
