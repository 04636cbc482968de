#pragma once

#include "core/wire/device.hpp"
#include "server/services.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fleet::rollout {

/// A device as the decision sees it.
struct DeviceFacts {
  std::int64_t n = 0;
  std::string id;
  std::string hardware;
  wire::Labels labels;
  std::map<std::string, std::string> running;  ///< model -> version
};

/// Why a device should run what it should: for directives and for `explain`.
struct Because {
  std::string code;  ///< in_stage, later_stage, held_back, blocked, in_flight, egress; not_selected, no_variant, revoked, no_rollout; of the rollout:
                     ///< awaiting_approval, paused, aborted, completed; of the device in it: failed, ineligible, dropped, reverting, reverted
  std::string text;
};

/// What one device should run of one model.
struct Desired {
  std::string model;
  std::string version;           ///< empty for remove, or when nothing is said
  wire::DirectiveTarget target;  ///< as it goes into the directive; `model` empty: nothing is said
  std::int64_t rollout_n = 0;    ///< 0: none
  int stage = 0;
  std::string stratum;
  bool joins = false;  ///< true: dispatching this creates the device's row in rollout_devices
  std::vector<Because> because;
};

/// The answer for all models, and how long it stands (windows, back-offs).
struct Decision {
  std::vector<Desired> models;
  SysTime valid_until{};
};

/// What the fleet should run: an immutable snapshot of all live and completed rollouts, replaced when the policy epoch rises;
/// shared by every io thread. Nothing here grows with the fleet.
class Engine {
public:
  static Result<std::unique_ptr<Engine>> create(Services& services);
  virtual ~Engine() = default;
  /// The pure decision over the current snapshot and this device's own rows (read through `reader`).
  virtual Result<Decision> decide(db::Connection& reader, DeviceFacts const& device, SysTime now) = 0;
  /// In the transaction that commits a new directive: creates or updates rollout_devices rows for what is dispatched.
  virtual Result<void> dispatched(store::Tx& tx, DeviceFacts const& device, Decision const& decision, SysTime now) = 0;
  /// In the transaction that takes a report: moves the device's row in rollout_devices, adds samples.
  virtual Result<void> on_update(store::Tx& tx, DeviceFacts const& device, wire::UpdateItem const& item, SysTime now) = 0;
  virtual Result<void> on_metrics(store::Tx& tx, DeviceFacts const& device, wire::MetricsItem const& item, SysTime now) = 0;
  /// Starts and stops the judge's thread: looks at running rollouts when their reports change, at least every second.
  virtual void start() = 0;
  virtual void stop() = 0;
};

/// Loads a device's facts. @errors not_found
[[nodiscard]] Result<DeviceFacts> load_device_facts(db::Connection& reader, std::int64_t device_n);

}  // namespace fleet::rollout
