#pragma once

#include "server/rollout/engine/rollout.hpp"
#include "server/rollout/engine/rows.hpp"
#include "server/rollout/engine/snapshot.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// What the judge reads: counts that were kept where rows moved.
namespace fleet::rollout {

/// As the rollout's open window and attempt have it.
[[nodiscard]] Result<Facts> read_counts(db::Connection& reader, Rollout const& rollout);
/// Sets what a view counts in memory (who is at work, who was told, which window is open, what is given beyond the plan) to what its rows say. In the writer's
/// turn: there, and nowhere else, they and the rows are of one moment. What was read beside it may lack a commit, or have it twice, and a device that meets a limit
/// so asks again a minute later.
[[nodiscard]] Result<void> count_rows(db::Connection& writing, RolloutView const& view);
/// Failed devices by the code of their error.
[[nodiscard]] Result<std::map<std::string, std::int64_t>> read_codes(db::Connection& reader, std::int64_t rollout_n);
/// A few of those that have no outcome yet: "cam-1 (probation)".
[[nodiscard]] Result<std::vector<std::string>> read_busy(db::Connection& reader, std::int64_t rollout_n, std::size_t most);
/// Fills in `facts.metrics`.
[[nodiscard]] Result<void> read_metrics(db::Connection& reader, Rollout const& rollout, Facts& facts);
/// What the healthy members of the open window measured, as its gates compare it: values since each switched, or began its proof. Reads each member's row:
/// to be called where closes_window (engine/step.hpp) says that the window is to be judged.
[[nodiscard]] Result<Measured> read_measured(db::Connection& reader, RolloutView const& view, int window);
/// Devices that have their part in the open window, ascending: canaries that were told, controls that were told in it.
[[nodiscard]] Result<std::vector<std::int64_t>> read_told(db::Connection& reader, Rollout const& rollout);

}  // namespace fleet::rollout
