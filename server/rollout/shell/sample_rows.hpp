#pragma once

#include "server/registry/device_facts.hpp"
#include "server/rollout/engine/snapshot.hpp"
#include "server/store/store.hpp"

/// What devices measure, where a gate of their rollout judges it: written in the transaction that takes a report. Nothing is read or written where none does.
namespace fleet::rollout {

/// Adds samples: of canaries that have switched, those tagged with the release's digest; of controls that have begun to prove, those tagged with what they run.
/// An open block counts once a later one's samples come: what a device sends last before it goes quiet is no observation.
/// @param now      a device's clock may be ahead: no block is later
/// @param changed  receives the numbers of the rollouts whose counts moved
[[nodiscard]] Result<void> note_metrics(store::Tx& tx, Snapshot const& snapshot, registry::DeviceFacts const& device, wire::MetricsItem const& item, SysTime now,
                                        std::vector<std::int64_t>& changed);
/// A device that is told the release, or told it again, begins anew.
[[nodiscard]] Result<void> drop_samples(store::Tx& tx, Rollout const& rollout, std::int64_t device_n);
/// A control that proves in another window goes on where its own samples are judged; what is compared with that window's canaries begins anew.
[[nodiscard]] Result<void> drop_summaries(store::Tx& tx, Rollout const& rollout, std::int64_t device_n);
/// A canary's outcome became healthy, or is that no more.
[[nodiscard]] Result<void> note_healthy(store::Tx& tx, Rollout const& rollout, std::int64_t device_n, bool healthy);

}  // namespace fleet::rollout
