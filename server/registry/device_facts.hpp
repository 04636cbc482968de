#pragma once

#include "server/registry/selector.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>

namespace fleet::registry {

/// What a device runs, as it told last.
struct Running {
  std::map<std::string, std::string> versions;  ///< model -> version
  std::map<std::string, std::int64_t> known;    ///< model -> number of the release, where the catalog knows the bytes
};
[[nodiscard]] Result<Running> load_running(db::Connection& reader, std::int64_t device_n);

/// A device as a decision about it sees it, and no more: every poll loads one. Its whole row is a Device (devices.hpp); what a selector looks at, of
/// either or of none that is stored yet, is a DeviceView.
struct DeviceFacts {
  std::int64_t n = 0;
  std::string id;
  std::string hardware;
  wire::Labels labels;
  Running running;
  std::set<std::string> lists;  ///< the groups whose lists have its id
  bool cache = false;  ///< it keeps objects for others and is told nothing
};
/// @errors not_found (code `unknown_device`), corrupt
[[nodiscard]] Result<DeviceFacts> load_device_facts(db::Connection& reader, std::int64_t device_n);
/// The same of many (at most db::kSetMax), by their number, in three statements: those that are active.
[[nodiscard]] Result<std::map<std::int64_t, DeviceFacts>> load_active_facts(db::Connection& reader, std::span<std::int64_t const> devices);
/// As an active device.
[[nodiscard]] DeviceView view_of(DeviceFacts const& device);
/// Calls `take` with each active device that the selector matches, caches aside. `running` and `lists` are filled only where
/// the selector asks for them.
[[nodiscard]] Result<void> scan_selected(db::Connection& reader, Selector const& selector, std::function<Result<void>(DeviceFacts const&)> const& take);

}  // namespace fleet::registry
