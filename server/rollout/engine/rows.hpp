#pragma once

#include "core/wire/device.hpp"
#include "server/rollout/engine/progress.hpp"
#include "server/rollout/gates/gate.hpp"

#include <array>
#include <optional>
#include <string_view>

/// A device's row in a rollout: where its words move it, when it is silent, and what it counts as. Pure.
namespace fleet::rollout {

/// How a state of the update machine shows in the row.
struct Shows {
  std::string_view reported;
  std::string_view row;
  bool exposed;  ///< the release has run
  bool starts;   ///< its golden test, its switch or its proof has begun: it belongs to a window from then on
};
/// Nothing for a newer agent's word, or none of an update.
[[nodiscard]] Shows const* shows(std::string_view reported);

/// Where a report moves a row.
struct RowMove {
  std::string_view state;
  bool exposed = false;
  std::string_view kind = row_kind::kPlain;
  bool starts = false;
};
[[nodiscard]] std::optional<RowMove> move_of(std::string_view row_state, wire::UpdateItem const& item);

/// What a row is counted under.
struct CountKey {
  std::string stratum = {};
  Arm arm = Arm::canary;
  int window = 0;  ///< 0: it has not started
  std::string_view state = {};
  std::string_view outcome = {};  ///< empty: none yet
  bool exposed = false;
  std::string_view kind = row_kind::kPlain;
  bool tries_again = false;  ///< it failed an attempt before the rollout's own: it is as if it had not been told
};
[[nodiscard]] bool tries_again(Arm arm, std::string_view state, std::int64_t attempt, std::int64_t rollout_attempt);
/// Adds so many devices of one key to what is known; negative numbers take them away.
/// @param window  the one that is open
void count(Facts& facts, CountKey const& key, std::int64_t devices, int window);

/// When a device that just failed tries again by itself: never where its owner or its hardware refused, or a golden test, which would fail again.
/// @param before  the row's state until then
/// @param tries   attempts that it has had, this one among them
/// @param now     service time
[[nodiscard]] std::optional<Millis> again_after(Policy const& policy, Arm arm, std::string_view before, std::int64_t tries, RowMove const& move, Millis now);
/// It failed at first and tries again: what it came to then is its outcome, whatever it comes to now.
[[nodiscard]] bool tries_once_more(std::int64_t tries, std::string_view outcome);

/// How a device leaves the rollouts that it is in, by an operator's hand.
enum class Leaving {
  relabelled,  ///< only those whose selector covers it no more
  wholly,      ///< retired, revoked, or another board took its place
};

/// What becomes of a row when its rollout is stopped or taken back: who has not switched drops it. Empty: it stays.
[[nodiscard]] std::string_view settled(std::string_view row_state, bool exposed);
/// What a row is that was quiet for too long: silent, once it has started; before that it is out of reach, and waits.
[[nodiscard]] std::string_view quiet_state(int window);
/// The column `outcome` after a move: it keeps what it was where the state is none.
[[nodiscard]] std::string_view outcome_after(std::string_view before, std::string_view state);

/// What silence is measured by.
struct Habits {
  Millis report{std::chrono::seconds{60}};  ///< it reports so often while at work
  Millis poll{std::chrono::seconds{60}};    ///< its own interval with its jitter
  Millis parked{0};                         ///< how long its polls may wait here; 0: it does not park
  Millis told{0};                           ///< what `next_poll_s` told it, and its back-off after a time that we were away
};
/// The longest time for which a device is quiet though all is well with it.
[[nodiscard]] Millis longest_gap(Habits const& habits);
/// After so long without an authenticated word it is silent.
[[nodiscard]] Millis silent_after(Habits const& habits, int after_reports);

/// What a look at a quiet row finds.
struct Quiet {
  bool silent = false;
  Millis look_again{0};  ///< service time, where it is not silent
};
/// @param heard        service time of its last authenticated word, or of the start of its silence's clock, whichever is later
/// @param started      service time at which it started: its golden test, its switch, its proof
/// @param result_max   no result after that long is silence, too; 0: it may take any time (it waits, and says why)
[[nodiscard]] Quiet look_quiet(Millis heard, Millis started, Millis window, Millis result_max, Millis now);

}  // namespace fleet::rollout
