#pragma once

#include "server/rollout/gates/gate.hpp"

/// A test of two releases asks each question both ways: the same gates see what is known with the arms exchanged. Pure.
namespace fleet::rollout {

/// What the gates' sentences call the arms: "devices on reader@1.5.0".
[[nodiscard]] ArmWords words_of(std::string_view release, std::string_view beside);
/// The odds ratio of the exchanged arms is one over that of the arms as they are: `fold_nothing` keeps sums at both for a test.
[[nodiscard]] Folded mirrored(Folded const& folded);
/// What gates that ask about harm read of them.
[[nodiscard]] Facts mirrored(Facts const& facts);
/// Does the gate say which release is worse? Drift and sanity do not.
[[nodiscard]] bool tells_worse(GateVerdict const& verdict);
/// Makes a verdict on the other release one for the rollout's: its harm is a win. False: it says nothing of who is better (drift, sanity, evidence to pass).
[[nodiscard]] bool wins(GateVerdict& verdict);

}  // namespace fleet::rollout
