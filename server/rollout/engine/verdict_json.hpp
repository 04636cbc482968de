#pragma once

#include "server/rollout/engine/step.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Verdicts as they are kept with the rollout: `{"decision","reason","gates":[...],"reach":{"offline","blocked","ineligible"},"history":[...]}`.
namespace fleet::rollout {

/// What the planner knows before the first verdict.
[[nodiscard]] std::string first_verdict(std::int64_t ineligible);
/// The kept text after `verdict`: a new decision or event joins the history (the newest 50), the rest is replaced. Equal verdicts give equal texts.
[[nodiscard]] std::string updated_verdict(std::string_view kept, Verdict const& verdict, Facts const& facts, SysTime now);
/// Adds a person's deed to the history, and makes it the reason that is shown: "paused by token:ops: support calls".
[[nodiscard]] std::string noted(std::string_view kept, std::string_view decision, std::string_view reason, SysTime now);
/// Adds to the history alone.
[[nodiscard]] std::string with_history(std::string_view kept, std::string_view decision, std::string_view reason, SysTime now);
/// How far a gate is on the way to what it may say: of a test `harm` to stopping the rollout, of `safe` to letting the stage pass, of `win` to naming a winner.
struct Nearness {
  std::string gate;
  std::string test;
  double ratio = 0;  ///< 0 to 1. Evidence multiplies, so that it is its logarithm over that of the threshold; of a share or a number that is needed, have over need
};
/// Of the gates of the kept verdict. Where two of a name ask the same question, a metric's coverage say, the one that decides: of `safe` the farthest, else the nearest.
[[nodiscard]] std::vector<Nearness> nearness_of(std::string_view kept);
/// The reason that is shown.
[[nodiscard]] std::string reason_of(std::string_view kept);
[[nodiscard]] std::string encode_latches(Latches const& latches);
/// What is not readable is empty: the column is this program's own.
[[nodiscard]] Latches decode_latches(std::string_view json);

}  // namespace fleet::rollout
