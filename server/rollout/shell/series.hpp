#pragma once

#include "server/rollout/engine/step.hpp"
#include "server/rollout/shell/record.hpp"

/// A rollout over time: counts and evidence as the judge saw them.
namespace fleet::rollout {

/// How far apart two points lie when a rollout is so old: 5 s at first, later a 256th of its age, so that a year takes fewer than 3,000.
[[nodiscard]] constexpr Millis point_spacing(Millis age) { return std::max<Millis>(seconds(5), age / 256); }

/// Keeps what the judge saw at `now`; a second point of the same millisecond replaces the first.
[[nodiscard]] Result<void> add_point(store::Tx& tx, Rollout const& rollout, Verdict const& verdict, Facts const& facts, SysTime now);

/// `{"rollout","points":[{"time","stage","state","decided","exposed","healthy","failed","silent","offline","gates":[{"name","e_value","threshold"}]}]}`
[[nodiscard]] Result<std::string> series_json(db::Connection& reader, Rollout const& rollout);

}  // namespace fleet::rollout
