#pragma once

#include "core/wire/device.hpp"
#include "server/events/deed.hpp"
#include "server/store/store.hpp"

#include <optional>
#include <string>

namespace fleet::delivery {

/// What a device was asked to collect of itself (docs/protocol.md, collect), and what came of it.
struct Support {
  std::string id;  ///< of the order
  bool metered = false;
  std::string asked_by;
  SysTime asked_at{};
  SysTime received_at{};  ///< zero: it is waited for
  SysTime made_at{};      ///< by the device's clock
  std::int64_t size = 0;
  std::string sha256;  ///< of the content, hex
  [[nodiscard]] bool is_received() const { return received_at != SysTime{}; }
};
/// All devices' bundles together; above it those that came first go.
inline constexpr std::int64_t kSupportStoreBytes = 256 * 1024 * 1024;

[[nodiscard]] Result<std::optional<Support>> load_support(db::Connection& reader, std::int64_t device_n);
/// The tar; empty: there is none.
[[nodiscard]] Result<std::string> load_support_content(db::Connection& reader, std::int64_t device_n);
/// The directive's `collect` for this device, as wire::encode_collect gives it.
[[nodiscard]] Result<std::string> wanted_support(db::Connection& reader, std::int64_t device_n);

/// Asks the device at its next poll, however far away that is. One that waits already is that same order; what came before is given up for the new one.
Result<Support> ask_support(store::Tx& tx, std::int64_t device_n, std::string const& device, std::string const& id, bool metered, events::Deed const& deed);
/// Takes what the device sent, where it answers the order that waits; anything else is dropped, so that a device fills nothing that nobody asked for.
/// @param store_bytes  what all devices' may take together
Result<void> take_support(store::Tx& tx, std::int64_t device_n, std::string const& device, wire::SupportItem const& item, SysTime now,
                          std::int64_t store_bytes = kSupportStoreBytes);

}  // namespace fleet::delivery
