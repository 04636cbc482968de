#pragma once

#include "server/rollout/engine/step.hpp"

#include <string>
#include <string_view>

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
/// The reason that is shown.
[[nodiscard]] std::string reason_of(std::string_view kept);
[[nodiscard]] std::string encode_latches(Latches const& latches);
/// What is not readable is empty: the column is this program's own.
[[nodiscard]] Latches decode_latches(std::string_view json);

}  // namespace fleet::rollout
