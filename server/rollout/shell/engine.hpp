#pragma once

#include "server/rollout/engine/desired.hpp"
#include "server/rollout/engine/rows.hpp"
#include "server/rollout/shell/service_clock.hpp"
#include "server/services.hpp"

#include <map>
#include <memory>

namespace fleet::rollout {

/// What the fleet should run: an immutable snapshot of all live and completed rollouts, replaced when the policy epoch rises;
/// shared by every io thread. Nothing here grows with the fleet.
class Engine {
public:
  static Result<std::unique_ptr<Engine>> create(Services& services);
  virtual ~Engine() = default;
  /// An authenticated word of a device: its poll, with what its silence is measured by, or a report. Any thread.
  /// @returns when that was, by the time of service
  virtual Millis heard(std::int64_t device_n, Habits const& habits) = 0;
  virtual Millis heard(std::int64_t device_n) = 0;
  /// Time of service, which who leads several servers gives to the others.
  virtual ServiceClock& clock() = 0;
  /// The pure decision over the current snapshot and this device's own rows (read through `reader`).
  virtual Result<Decision> decide(db::Connection& reader, registry::DeviceFacts const& device, SysTime now) = 0;
  /// In the transaction that commits a new directive: creates or updates rollout_devices rows for what is dispatched.
  virtual Result<void> dispatched(store::Tx& tx, registry::DeviceFacts const& device, Decision const& decision, SysTime now) = 0;
  /// In a transaction of a poll that acknowledged the newest directive, where `decision.gave_up`: the device's places are for others again.
  virtual Result<void> withdrawn(store::Tx& tx, std::int64_t device_n, ModelStatuses const& told, Decision const& decision) = 0;
  /// In the transaction of an operator's hand by which a device leaves rollouts, or is called otherwise; those that wait for its places decide anew.
  virtual Result<void> left(store::Tx& tx, std::int64_t device_n, Leaving how, SysTime now) = 0;
  /// In the transaction that records a poll: an outcome that no report told (it was acknowledged by a server that is lost, say) is taken from it.
  /// @param before  what was recorded of the device's models until now
  virtual Result<void> on_poll(store::Tx& tx, std::int64_t device_n, ModelStatuses const& before, ModelStatuses const& told, SysTime now) = 0;
  /// In the transaction that takes a report: moves the device's row in rollout_devices, adds samples.
  virtual Result<void> on_update(store::Tx& tx, registry::DeviceFacts const& device, wire::UpdateItem const& item, SysTime now) = 0;
  virtual Result<void> on_metrics(store::Tx& tx, registry::DeviceFacts const& device, wire::MetricsItem const& item, SysTime now) = 0;
  /// Starts and stops the judge's thread: looks at running rollouts when their reports change, at least every second.
  virtual void start() = 0;
  virtual void stop() = 0;
  /// One round of the judge as its thread makes it, for who runs none. Returns how many rollouts were judged.
  virtual Result<int> look() = 0;
};

}  // namespace fleet::rollout
