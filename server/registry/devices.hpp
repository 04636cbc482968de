#pragma once

#include "core/base/time.hpp"
#include "server/events/deed.hpp"
#include "server/registry/device_facts.hpp"
#include "server/registry/limits.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fleet::registry {

/// One registered device, as its rows have it: what lists, shows and changes it. What it should run is decided from its DeviceFacts.
struct Device {
  std::int64_t n = 0;
  std::string id, hardware, state;
  wire::Labels labels, reported;
  Digest key;
  SysTime not_after{};
  std::string agent;
  std::int64_t revision = 0;
  SysTime created_at{};
  SysTime seen_at{};     ///< as flushed; ask the store for the latest
  int poll_every_s = 0;  ///< 0: it never polled
  SysTime clone_suspected_at{};  ///< zero: never, since its key was last approved
  std::optional<std::string> cache;  ///< as its column has it (blobs/readers.hpp): it is no device but a cache, and is told nothing
};

/// @errors not_found (code `unknown_device`)
[[nodiscard]] Result<Device> load_device(db::Connection& connection, std::string_view id);
/// @param running  model -> version; null: not asked for
/// @param lists    of groups.hpp; null: not asked for
[[nodiscard]] DeviceView view_of(Device const& device, std::map<std::string, std::string> const* running, std::set<std::string> const* lists);

/// When it was last heard, also when that is not flushed yet; zero time: never.
[[nodiscard]] SysTime last_seen(store::Store& store, Device const& device);
/// Heard within three of its poll intervals.
[[nodiscard]] bool is_online(store::Store& store, Device const& device, SysTime now);
/// The object `device` of the API, as somebody with `limits` sees it: of one model alone what it runs and does.
[[nodiscard]] Result<std::string> device_json(store::Store& store, db::Connection& connection, Device const& device, Limits const& limits, SysTime now);

/// Where what a device runs may come from, itself or by any number of parents: a release, or else a data set by name or digest.
struct Origin {
  std::string model, version;
  std::string dataset;  ///< a name, or 64 hex characters
};
/// Which devices to list, of those that `limits` cover; all must hold.
struct DeviceFilter {
  Limits const& limits;
  std::vector<Selector> selectors = {};
  std::string state = {};  ///< empty: any
  std::optional<bool> online = {};
  std::optional<SysTime> last_seen_before = {};  ///< never heard counts as before
  std::optional<Origin> origin = {};             ///< only those that run something made from it
};
/// A page of device objects in the order they were registered.
struct DevicePage {
  std::vector<std::string> items;
  std::string next;  ///< where the next page starts after; empty: no more
};
/// A question about a release or data set that nobody knows, or that nothing within `limits` is made from, is a slip of the pen, not an all-clear.
/// @errors not_found (unknown_release, unknown_dataset)
[[nodiscard]] Result<void> check_origin(db::Connection& connection, Origin const& origin, Limits const& limits);
/// @param after  `next` of the page before, or empty. Scans: not for an io thread. @errors bad_input (code `bad_cursor`)
[[nodiscard]] Result<DevicePage> list_devices(store::Store& store, db::Connection& connection, DeviceFilter const& filter, std::string_view after, int limit,
                                              SysTime now);
/// The pending enrolments, as device objects in state `pending` with the hash of their key.
[[nodiscard]] Result<DevicePage> list_pending(db::Connection& connection, DeviceFilter const& filter, std::string_view after, int limit);

/// What happened on a device, newest first, as the API lists it. @errors bad_input (code `bad_cursor`)
[[nodiscard]] Result<DevicePage> list_history(db::Connection& connection, std::int64_t device_n, Limits const& limits, std::string_view after, int limit);

/// What the device says of one model: for explain.
struct ModelRow {
  std::string model;
  std::optional<std::string> running;
  bool running_unknown = false;  ///< it runs bytes that are no release the server knows
  std::string version, state, rollout, waiting, error, variant, retest;
  std::int64_t to_fetch = 0;  ///< bytes, while its download waits; 0: not known
  SysTime since{};
};
[[nodiscard]] Result<std::vector<ModelRow>> load_models(db::Connection& connection, std::int64_t device_n, Limits const& limits);

/// Labels as stored, and back: the one reader of those columns. @errors corrupt
[[nodiscard]] Result<wire::Labels> parse_labels(std::string_view json);
[[nodiscard]] std::string labels_json(wire::Labels const& labels);

/// How many devices are in each state.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::int64_t>>> count_by_state(db::Connection& reader);

}  // namespace fleet::registry
