#pragma once

#include "server/signing/key_ring.hpp"
#include "server/delivery/device_record.hpp"
#include "server/rollout/shell/engine.hpp"

#include <string>

namespace fleet::delivery {

inline constexpr std::chrono::hours kDirectiveLifetime{7 * 24};  ///< docs/protocol.md, directive

/// What a device should run, beside what it was last told.
struct Plan {
  registry::DeviceFacts facts;
  rollout::Decision decision;
  std::string targets;  ///< of the directive that follows from it
  std::string collect;  ///< and its order for a support bundle, or empty
  bool joins = false;   ///< a row of rollout_devices is to be made
};
[[nodiscard]] std::string encode_targets(rollout::Decision const& decision);
/// What a directive names, its device may read from now on.
Result<void> name_releases(store::Tx& tx, std::int64_t device_n, rollout::Decision const& decision);
[[nodiscard]] Result<Plan> plan_device(db::Connection& reader, rollout::Engine& engine, std::int64_t device_n, SysTime now);

/// What a device says may raise its own sequence (it is ahead of ours after a database was put back by hand, or after a thief spoke to it
/// with our keys), but not to where it could never be raised again.
[[nodiscard]] std::int64_t believable_sequence(std::int64_t device_sequence);

/// True when `plan` and what the device says of itself leave nothing to commit.
[[nodiscard]] bool is_settled(DeviceRecord const& record, Plan const& plan, std::int64_t device_sequence);

/// A device's state after a commit, and how long it stands.
struct Settled {
  DeviceRecord record;
  SysTime valid_until{};
};
/// In one transaction: records what the poll tells (`told` may be null: it was recorded before), decides anew, and where the targets
/// changed stores them under a raised sequence. The sequence is committed before any directive with it is sent.
/// @param device_sequence  highest sequence the device has seen, believable
Result<Settled> settle(store::Tx& tx, rollout::Engine& engine, std::int64_t device_n, wire::PollRequest const* told, std::int64_t device_sequence, SysTime now);

/// A directive as a DSSE envelope.
Result<std::string> sign(signing::KeyRing& keys, wire::Directive const& directive);
/// The directive of `record`, signed for `nonce`, with the data keys that it needs (protected.hpp).
Result<std::string> sign_directive(db::Connection& reader, signing::KeyRing& keys, DeviceRecord const& record, std::string const& nonce, SysTime now);

/// The envelope that tells devices which CAs this server is known by (docs/protocol.md, ca). @errors as sign_directive
[[nodiscard]] Result<std::string> sign_ca(Services const& services);

}  // namespace fleet::delivery
