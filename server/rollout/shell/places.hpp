#pragma once

#include "server/rollout/engine/decide.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/services.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

/// Places of `limits.per`: who may be between switch and commit at a site. A place is taken in the transaction that tells a device, and is the device's
/// until it says how that ended, falls silent, leaves, or acknowledged that the order was withdrawn.
namespace fleet::rollout {

/// Sites at which a place was freed.
using Freed = std::vector<Site>;

/// Who waits for a place, so that a poll which is parked hears of it at once. Only in memory: who is not woken asks again within kPlaceStands. Any thread.
class SiteQueue {
public:
  void wait(Site const& site, std::int64_t device_n);
  /// A few of those that wait there; they are forgotten, and wait again if they come too late.
  [[nodiscard]] std::vector<std::int64_t> next(Site const& site);

private:
  std::mutex mutex_;
  std::map<Site, std::set<std::int64_t>> waiting_;
  std::size_t size_ = 0;
};
/// An answer that names no place stands so long where nobody wakes its device.
inline constexpr Millis kPlaceStands = std::chrono::minutes{1};
/// Those that wait where a place was freed decide anew, those of other servers, too.
inline constexpr std::string_view kFreedAt = "site";
[[nodiscard]] std::string to_text(Site const& site);
[[nodiscard]] Site parse_site(std::string_view text);
void wake(store::Tx& tx, SiteQueue& queue, Freed const& freed);

/// For `Asking`: other devices that hold a place at this one's sites. Nothing is read where no rollout limits by a label.
[[nodiscard]] Result<std::map<std::string, std::int64_t, std::less<>>> under_way(db::Connection& reader, Snapshot const& snapshot, registry::DeviceFacts const& device);
/// With the row of what the device is told.
[[nodiscard]] Result<void> take_place(store::Tx& tx, RolloutView const& view, std::int64_t device_n, Desired const& desired, Now const& now);
/// Whether the device holds a place for an order that it is given no more.
[[nodiscard]] Result<bool> holds_in_vain(db::Connection& reader, Snapshot const& snapshot, std::int64_t device_n, Decision const& decision);

/// A device's word of a model, by report or poll, frees its place when an attempt has ended: committed, failed before the switch, or back.
struct Word {
  std::string const& model;
  std::string const& state;
  std::string const& rollout;
  std::int64_t attempt;
};
[[nodiscard]] Result<void> free_by_word(store::Tx& tx, std::int64_t device_n, Word const& word, Freed& freed);
/// The device has acknowledged a directive without the order, and is not at it.
[[nodiscard]] Result<void> free_withdrawn(store::Tx& tx, std::int64_t device_n, ModelStatuses const& told, Decision const& decision, Freed& freed);
/// Another site is the device's now: it holds its place there, be there one or not.
[[nodiscard]] Result<void> move_places(store::Tx& tx, registry::DeviceFacts const& device, Freed& freed);
[[nodiscard]] Result<void> drop_places(store::Tx& tx, std::int64_t device_n, Freed& freed);

/// Frees the places of devices that are silent, or that nobody waits for any more; a bounded number a call, by an index.
[[nodiscard]] Result<void> look_at_places(Services const& services, Snapshot const& snapshot, ServiceClock const& clock, SiteQueue& queue);

}  // namespace fleet::rollout
