#pragma once

#include "server/delivery/dispatch.hpp"
#include "server/events/deed.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Orders that travel by file (docs/adr/0039): a bundle has one directive a device, above all that the device was told and below all that it will be told.
namespace fleet::delivery {

inline constexpr std::string_view kBundlePrefix = "bundle-";  ///< of their ids, which stand where a rollout's does in what devices tell
inline constexpr Millis kBundleLifetime = std::chrono::hours{24 * 90}, kBundleLifetimeMax = std::chrono::hours{24 * 366};
inline constexpr std::size_t kBundleDevicesMax = 10'000;

/// The release, or set, that a bundle brings.
struct BundleRelease {
  std::int64_t n = 0;
  std::string model, version;
  Digest digest;
  std::int64_t document_bytes = 0;
  std::vector<std::string> hardware;  ///< that it, or every member of it, has a variant for
  std::vector<rollout::SetMember> members;
};
/// @errors not_found (`unknown_release`), conflict (`not_approved`, `revoked`)
[[nodiscard]] Result<BundleRelease> load_bundle_release(db::Connection& reader, std::string_view model, std::string_view version);

struct Bundle {
  std::string id, model, version, selector, created_by;
  SysTime created_at{}, expires_at{};
  std::int64_t devices = 0;  ///< that it has an order for, until it has expired
  std::int64_t taken = 0;    ///< that said they have it, and have nothing newer
};
/// Its row and its entry in the audit log; orders follow.
Result<void> add_bundle(store::Tx& tx, Bundle const& bundle, BundleRelease const& release, events::Deed const& deed);
/// @errors not_found (`unknown_bundle`)
[[nodiscard]] Result<Bundle> load_bundle(db::Connection& reader, std::string_view id);
/// A release that it brings, by its digest: its row and its release.json. @errors not_found (`unknown_release`)
struct BundledDocument {
  std::int64_t n = 0;
  std::string document;
};
[[nodiscard]] Result<BundledDocument> load_bundled_document(db::Connection& reader, std::string_view bundle, Digest const& digest);
/// The newest first, those before `before` (empty: all).
[[nodiscard]] Result<std::vector<Bundle>> list_bundles(db::Connection& reader, std::string_view before, int limit);

/// Why a device is not in a bundle.
struct LeftOut {
  std::string device, code, text;
};
/// The device's order: its whole desired state with the bundle's release in place of what is said of that model. Its sequence is committed with it, before
/// anybody can sign it. A device that a live rollout of the model covers is left out, unless that has told it this very release: gates hold for sticks, too.
/// @returns nothing where it has one
Result<std::optional<LeftOut>> add_order(store::Tx& tx, rollout::Engine& engine, Bundle const& bundle, BundleRelease const& release,
                                         registry::DeviceFacts const& device, SysTime now);

/// A device's order, signed.
struct SignedOrder {
  std::string device, hardware, envelope;
};
/// By the devices' numbers, above `after`; `next`: the last of these, 0 where no more follow. @errors conflict (`bundle_expired`)
struct SignedOrders {
  std::vector<SignedOrder> items;
  std::int64_t next = 0;
};
[[nodiscard]] Result<SignedOrders> sign_orders(db::Connection& reader, signing::KeyRing& keys, Bundle const& bundle, std::int64_t after, int limit, SysTime now);

/// The device says that it accepted the directive of this number: where a bundle's has it, what that brings is held.
Result<void> take_order(store::Tx& tx, std::int64_t device_n, std::int64_t sequence);
/// The same by what it reports of a model; a failure ends the hold.
Result<void> heed_report(store::Tx& tx, std::int64_t device_n, wire::UpdateItem const& item);
/// What bundles brought stands like a rollout that completed when the bundle was made: for what neither a live rollout nor a later one says anything.
Result<void> add_holds(db::Connection& reader, std::int64_t device_n, rollout::Decision& decision);

}  // namespace fleet::delivery
