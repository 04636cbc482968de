#pragma once

#include "server/rollout/engine/decide.hpp"
#include "server/rollout/engine/rows.hpp"
#include "server/rollout/shell/service_clock.hpp"
#include "server/store/store.hpp"

/// What devices do, written to their rows: in the transaction that takes a report or commits a directive.
namespace fleet::rollout {

/// The device's own rows, from the oldest rollout on that still has a say.
[[nodiscard]] Result<DeviceRows> read_device_rows(db::Connection& reader, Snapshot const& snapshot, std::int64_t device_n);
/// How long a device may be quiet (engine/rows.hpp), by what it told this process of itself, or an earlier one.
[[nodiscard]] Result<Millis> silence_window(db::Connection& reader, ServiceClock const& clock, std::int64_t device_n, Policy const& policy);
/// When a device was heard last, by the time of service, whichever server heard it.
[[nodiscard]] Result<Millis> last_heard(db::Connection& reader, ServiceClock const& clock, std::int64_t device_n);
/// One moment on both clocks.
struct Now {
  SysTime wall;
  ServiceClock const& clock;
  [[nodiscard]] Millis service() const { return clock.now(); }
};
/// What a device said of its failure, as a row keeps it; what is not readable is a code.
[[nodiscard]] wire::DeviceError read_device_error(std::string_view column);
/// The device must decide anew.
[[nodiscard]] Result<void> raise_device(store::Tx& tx, std::int64_t device_n);

/// Writes what a directive tells the device: a row when it joins, `reverting` when it must return.
[[nodiscard]] Result<void> note_dispatched(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, Decision const& decision, Now const& now);
/// Closes its rows of live rollouts that have no outcome: neither failed nor silent. An outcome that it had is kept.
/// @param freed  receives the sites where it held a place
[[nodiscard]] Result<void> note_left(store::Tx& tx, std::int64_t device_n, Leaving how, SysTime now, std::vector<Site>& freed);
/// Before the device is deleted: its rows stay, under the id it had.
[[nodiscard]] Result<void> name_gone(store::Tx& tx, std::int64_t device_n, std::string_view id);
/// Moves the row of the item's rollout, and marks what the device returned from.
/// @param changed  receives the numbers of the rollouts whose rows moved
[[nodiscard]] Result<void> note_update(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::UpdateItem const& item, Now const& now,
                                       std::vector<std::int64_t>& changed);
/// A device's poll: its models as they were recorded until then, and as it tells them.
struct Polled {
  std::int64_t device_n;
  ModelStatuses const& before;
  ModelStatuses const& told;
};
/// Takes from a poll what no report told: that an attempt was committed; of a rollout that was restored also that the device is in it, and that it failed.
[[nodiscard]] Result<void> note_poll(store::Tx& tx, Snapshot const& snapshot, Polled const& polled, Now const& now, std::vector<std::int64_t>& changed);

}  // namespace fleet::rollout
