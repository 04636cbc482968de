#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace fleet::rollout {

enum class State { draft, awaiting_approval, running, paused, completed, rolling_back, rolled_back, aborted };
inline constexpr auto kStateNames =
    std::to_array<std::string_view>({"draft", "awaiting_approval", "running", "paused", "completed", "rolling_back", "rolled_back", "aborted"});

/// What happens to a rollout: a person's verb, or the judge's verdict.
enum class Event {
  start,         ///< verb, and no approval is missing
  ask_approval,  ///< the next stage waits for people
  approved,      ///< the last approval that was missing
  pause,         ///< verb, harm with on_harm: pause, deadline
  resume,        ///< verb
  widen,         ///< to the next stage, by verdict or by promote
  complete,      ///< the last stage passed
  roll_back,     ///< verb, harm, deadline with on_deadline: rollback
  all_reverted,  ///< every reachable exposed device returned
  abort,         ///< verb, or the release was revoked
  retry,         ///< verb: failed devices again, from the first stage
};
inline constexpr auto kEventNames = std::to_array<std::string_view>(
    {"start", "ask_approval", "approved", "pause", "resume", "widen", "complete", "roll_back", "all_reverted", "abort", "retry"});

struct Edge {
  State from;
  Event event;
  State to;
};

/// Every transition there is.
inline constexpr auto kEdges = std::to_array<Edge>({
    {State::draft, Event::start, State::running},
    {State::draft, Event::ask_approval, State::awaiting_approval},
    {State::draft, Event::abort, State::aborted},
    {State::awaiting_approval, Event::approved, State::running},
    {State::awaiting_approval, Event::roll_back, State::rolling_back},
    {State::awaiting_approval, Event::abort, State::aborted},
    {State::running, Event::ask_approval, State::awaiting_approval},
    {State::running, Event::pause, State::paused},
    {State::running, Event::widen, State::running},
    {State::running, Event::complete, State::completed},
    {State::running, Event::roll_back, State::rolling_back},
    {State::running, Event::abort, State::aborted},
    {State::running, Event::retry, State::running},
    {State::paused, Event::resume, State::running},
    {State::paused, Event::roll_back, State::rolling_back},
    {State::paused, Event::abort, State::aborted},
    {State::paused, Event::retry, State::paused},
    {State::completed, Event::roll_back, State::rolling_back},
    {State::completed, Event::retry, State::running},
    {State::aborted, Event::roll_back, State::rolling_back},
    {State::rolling_back, Event::all_reverted, State::rolled_back},
});

template <std::size_t N>
constexpr bool deterministic(std::array<Edge, N> const& edges) {
  for (std::size_t i = 0; i < N; ++i)
    for (std::size_t j = i + 1; j < N; ++j)
      if (edges[i].from == edges[j].from && edges[i].event == edges[j].event) return false;
  return true;
}
static_assert(deterministic(kEdges), "two edges leave one state on one event");

/// Where `event` leads from `from`; nothing when the table has no such edge.
[[nodiscard]] constexpr std::optional<State> next_state(State from, Event event) {
  for (auto const& edge : kEdges)
    if (edge.from == from && edge.event == event) return edge.to;
  return std::nullopt;
}

[[nodiscard]] constexpr std::string_view to_string(State state) { return kStateNames[static_cast<std::size_t>(state)]; }
[[nodiscard]] constexpr std::string_view to_string(Event event) { return kEventNames[static_cast<std::size_t>(event)]; }
/// Nothing for a word that is no state.
[[nodiscard]] constexpr std::optional<State> parse_state(std::string_view name) {
  for (std::size_t i = 0; i < kStateNames.size(); ++i)
    if (kStateNames[i] == name) return static_cast<State>(i);
  return std::nullopt;
}

/// It still claims devices: another rollout of the model may not overlap it.
[[nodiscard]] constexpr bool is_live(State state) {
  return state == State::awaiting_approval || state == State::running || state == State::paused || state == State::rolling_back;
}

/// A device in a rollout, as a row of `rollout_devices` has it.
namespace device_state {
inline constexpr std::string_view kDispatched = "dispatched", kDownloading = "downloading", kWaiting = "waiting", kTesting = "testing",
                                  kProbation = "probation", kHealthy = "healthy", kFailed = "failed", kSilent = "silent", kIneligible = "ineligible",
                                  kDropped = "dropped", kLeft = "left", kReverting = "reverting", kReverted = "reverted";
inline constexpr auto kNames = std::to_array<std::string_view>(
    {kDispatched, kDownloading, kWaiting, kTesting, kProbation, kHealthy, kFailed, kSilent, kIneligible, kDropped, kLeft, kReverting, kReverted});
/// Its attempt is under way: neither good nor bad yet.
[[nodiscard]] constexpr bool is_undecided(std::string_view state) {
  return state == kDispatched || state == kDownloading || state == kWaiting || state == kTesting || state == kProbation;
}
/// What an attempt came to: kept beside the state, whatever follows.
[[nodiscard]] constexpr bool is_outcome(std::string_view state) { return state == kHealthy || state == kFailed || state == kSilent || state == kIneligible; }
}  // namespace device_state

}  // namespace fleet::rollout
