#pragma once

#include "core/wire/receipt.hpp"
#include "server/events/deed.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/telemetry/sink.hpp"

#include <string_view>

namespace fleet::fronts {

/// A receipt whose signature is by the key of the device that it names.
struct OpenedReceipt {
  std::int64_t device_n = 0;
  wire::Receipt receipt;
};
/// Verifies, then decodes. @errors signature, bad_input, not_found (`unknown_device`), forbidden (`device_revoked`, `device_retired`)
[[nodiscard]] Result<OpenedReceipt> open_receipt(db::Connection& reader, wire::SignedReceipt const& line);

struct AcceptedReceipt {
  std::int64_t items = 0;  ///< that it holds
  std::int64_t fresh = 0;  ///< of these, that the server had not
  wire::ByTier<std::int64_t> acked;
};
/// Counts what it tells, each item once, whichever way it comes (docs/protocol.md, reports). A receipt is no contact: it says nothing of now. Blocks: worker
/// threads only. @errors those of take_report
[[nodiscard]] Result<AcceptedReceipt> accept_receipt(store::Store& store, rollout::Engine& engine, OpenedReceipt opened, events::Deed const& deed,
                                                      telemetry::Sink* sink = nullptr);

}  // namespace fleet::fronts
