#pragma once

#include "cli/render/table.hpp"
#include "core/base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace boost::json {
class value;
}

/// How a rollout looks while it runs. Pure.
namespace fleet::render {

struct RolloutView {
  struct Stage {
    std::string label;         ///< `10%` or `20 devices`
    std::int64_t devices = 0;  ///< cumulative, as planned from the targeted
  };
  struct Gate {
    std::string name, test, decision, text, e_value, threshold;
  };
  std::string id, release, selector, state, stage_state, decision, reason;
  std::int64_t stage = 0, stages_of = 0;  ///< counted from 1; 0: not started
  std::optional<SysTime> deadline, created_at;
  std::vector<Stage> stages;
  std::map<std::string, std::int64_t> counts;
  std::vector<Gate> gates;
  [[nodiscard]] std::int64_t count(std::string const& name) const;
};

/// Reads a rollout object of the API, tolerant of what is missing.
[[nodiscard]] RolloutView read_rollout(boost::json::value const& rollout);

/// `██████▒▒▒░░░` of `width` columns: `done` of `of` full, up to `begun` half, the rest light.
[[nodiscard]] std::string bar(std::int64_t done, std::int64_t begun, std::int64_t of, std::size_t width);

struct Window {
  std::size_t width = 80;
  std::size_t height = 24;
};

/// What a gate says, for people: `ok`, `wait`, `stop` or `harm`, and its sentence; two columns apart.
[[nodiscard]] std::string gate_line(RolloutView::Gate const& gate);
/// What it weighs, for who asks for numbers: `e-value 1.5 of 250`. Empty: it weighs nothing.
[[nodiscard]] std::string gate_numbers(RolloutView::Gate const& gate);
[[nodiscard]] RolloutView::Gate read_gate(boost::json::value const& gate);

/// The lines of one picture: head, a bar a stage, counts, verdict, gates. At most `window.height - 1` lines of at most `window.width`
/// columns; where it is too low, gates go first, then stages far from the one under way.
/// @param numbers  what the gates weigh, too
[[nodiscard]] std::vector<std::string> rollout_frame(RolloutView const& view, SysTime now, Window window, bool color, bool numbers = false);

/// One line for logs: time, state, stage, counts that are not zero, verdict.
[[nodiscard]] std::string rollout_line(RolloutView const& view, SysTime now);
/// What a new line is written for: two views with the same key tell the same.
[[nodiscard]] std::string change_key(RolloutView const& view);

}  // namespace fleet::render
