#pragma once

#include "core/wire/release.hpp"
#include "server/rollout/engine/snapshot.hpp"
#include "server/rollout/engine/desired.hpp"

#include <vector>

/// Sets: what a rollout of one says of its members. Pure (docs/adr/0029).
namespace fleet::rollout {

/// A set as one release, for what is reckoned of releases: variants for the hardware that every member has one for, with the files of all; tests one after
/// the other, probations together; the metrics and runtime rules of all.
[[nodiscard]] wire::Release as_one(wire::Release set, std::vector<wire::Release> const& members);

/// Makes one word of what is desired of sets and of models: members get the set's target, and what else is said of them is dropped, by one order: who is
/// taken back, then who is live (priority, then the earlier), then who ended (the later). A live set that is overtaken waits; one that ended is broken up: its
/// other members stay, each for itself.
/// @param desired  of a set with a target, `members` are those of the release that it names (of the one that goes, where none is)
void join_sets(Snapshot const& snapshot, std::vector<Desired>& desired);

}  // namespace fleet::rollout
