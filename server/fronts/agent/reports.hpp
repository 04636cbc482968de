#pragma once

#include "core/wire/device.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/store/store.hpp"

namespace fleet::fronts {

/// Takes a device's report (docs/protocol.md, reports): items up to the acknowledged sequence are repeats and skipped, each other one is
/// counted once, in the transaction that raises the acknowledged sequence.
/// @returns the sequence to acknowledge after the commit
/// @errors bad_input (sequences that do not rise), forbidden, unauthenticated
Result<std::int64_t> take_report(store::Tx& tx, rollout::Engine& engine, std::int64_t device_n, wire::Report const& report, SysTime now);

}  // namespace fleet::fronts
