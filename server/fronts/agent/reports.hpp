#pragma once

#include "core/wire/device.hpp"
#include "server/fronts/agent/reporters.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/store/store.hpp"
#include "server/telemetry/sink.hpp"

#include <vector>

namespace fleet::fronts {

/// So many items a transaction: others' reports come between the pieces of a long one.
inline constexpr std::size_t kItemsOfPiece = 500;
/// The report in pieces, critical items first; one without items is one piece.
[[nodiscard]] std::vector<wire::Report> cut(wire::Report report);

/// How a report came: over the network, which is a contact, or by file.
enum class Heard { now, by_file };
/// Takes a piece of a device's report (docs/protocol.md, reports): items up to a tier's acknowledged sequence are repeats and skipped, each other one is
/// counted once, in the transaction that raises that sequence. What a device makes grow is bounded (registry/device_quota.hpp): what is over is counted
/// and told in one event `device.other`. Models that nobody made are not kept.
/// @param sink  that samples go to, if there is one: where it is behind and its outbox full, a tier ends before the first samples, which the device keeps
/// @returns what to answer after the commit: everything taken is acknowledged
/// @errors forbidden, unauthenticated, unavailable (`busy`: there was room for nothing)
Result<wire::ReportAnswer> take_report(store::Tx& tx, rollout::Engine& engine, std::int64_t device_n, wire::Report const& report, SysTime now, Heard heard = Heard::now,
                                       telemetry::Sink* sink = nullptr);
/// The same of one of several that are taken together.
/// @param reporters  with the device loaded
Result<wire::ReportAnswer> take_report(store::Tx& tx, rollout::Engine& engine, Reporters& reporters, std::int64_t device_n, wire::Report const& report,
                                       SysTime now, Heard heard = Heard::now, telemetry::Sink* sink = nullptr);
/// Whether some of a piece was not taken: no later piece may be, for a tier is acknowledged in its order.
[[nodiscard]] bool is_held(wire::Report const& piece, wire::ReportAnswer const& answer);

}  // namespace fleet::fronts
