#pragma once

#include "agent/store/model_state.hpp"

#include <array>
#include <optional>

namespace fleet::agent {

/// What may happen to a model's update.
enum class Event {
  directed,      ///< a target that is not running and not refused
  adopted,       ///< a target that runs already: nothing is to be done
  verified,      ///< both chains agree and the device may adopt it
  fetched,       ///< every file is staged, hashed from the disk and in its slot
  blocked,       ///< a window or condition does not hold
  ready,         ///< windows and conditions hold
  passed,        ///< golden test, or none asked for
  switched,      ///< `current` points at it
  healthy,       ///< probation over
  failed,        ///< final for this digest, rollout and attempt
  withdrawn,     ///< the directive no longer names it
  ordered_back,  ///< the server or the owner wants the version before
  superseded,    ///< the directive names another release before this one was proved
  resumed,       ///< what runs was superseded, and what came in its place ended before the switch: its proof is taken up again
  returned,      ///< `current` points at the version before, or at nothing
  asked,         ///< a proof of what runs
  not_running,   ///< what is to be proved is not what runs
  undertaken,    ///< windows and conditions hold: the proof begins
};

struct Edge {
  State from;
  Event event;
  State to;
};

inline constexpr auto kEdges = std::to_array<Edge>({
    {State::idle, Event::directed, State::checking},
    {State::committed, Event::directed, State::checking},
    {State::failed, Event::directed, State::checking},
    {State::rolled_back, Event::directed, State::checking},
    {State::idle, Event::adopted, State::committed},
    {State::committed, Event::adopted, State::committed},
    {State::failed, Event::adopted, State::committed},
    {State::rolled_back, Event::adopted, State::committed},
    {State::checking, Event::verified, State::downloading},
    {State::checking, Event::failed, State::failed},
    {State::checking, Event::withdrawn, State::idle},
    {State::downloading, Event::fetched, State::staged},
    {State::downloading, Event::failed, State::failed},
    {State::downloading, Event::withdrawn, State::idle},
    {State::staged, Event::blocked, State::waiting},
    {State::staged, Event::ready, State::testing},
    {State::staged, Event::withdrawn, State::idle},
    {State::waiting, Event::ready, State::testing},
    {State::waiting, Event::withdrawn, State::idle},
    {State::testing, Event::passed, State::switching},
    {State::testing, Event::blocked, State::waiting},  // the owner's lock was taken meanwhile
    {State::testing, Event::failed, State::failed},
    {State::testing, Event::withdrawn, State::idle},
    {State::switching, Event::switched, State::probation},
    {State::switching, Event::failed, State::rolling_back},
    {State::switching, Event::ordered_back, State::rolling_back},
    {State::switching, Event::superseded, State::idle},
    {State::probation, Event::healthy, State::committed},
    {State::probation, Event::failed, State::rolling_back},
    {State::probation, Event::ordered_back, State::rolling_back},
    {State::probation, Event::superseded, State::idle},
    {State::idle, Event::resumed, State::switching},
    {State::failed, Event::resumed, State::switching},
    {State::idle, Event::ordered_back, State::rolling_back},
    {State::committed, Event::ordered_back, State::rolling_back},
    {State::failed, Event::ordered_back, State::rolling_back},
    {State::rolled_back, Event::ordered_back, State::rolling_back},
    {State::rolling_back, Event::returned, State::rolled_back},
    // A proof of what runs touches nothing, so it may be dropped at any time. The files are there: it begins where a download ends.
    {State::idle, Event::asked, State::staged},
    {State::committed, Event::asked, State::staged},
    {State::failed, Event::asked, State::staged},
    {State::rolled_back, Event::asked, State::staged},
    {State::proved, Event::asked, State::staged},
    {State::ineligible, Event::asked, State::staged},
    {State::staged, Event::undertaken, State::proving},
    {State::waiting, Event::undertaken, State::proving},
    {State::proving, Event::healthy, State::proved},
    {State::proving, Event::failed, State::failed},
    {State::proving, Event::withdrawn, State::idle},
    {State::idle, Event::not_running, State::ineligible},
    {State::committed, Event::not_running, State::ineligible},
    {State::failed, Event::not_running, State::ineligible},
    {State::rolled_back, Event::not_running, State::ineligible},
    {State::proved, Event::not_running, State::ineligible},
    {State::ineligible, Event::not_running, State::ineligible},
    {State::proved, Event::directed, State::checking},
    {State::proved, Event::adopted, State::committed},
    {State::proved, Event::ordered_back, State::rolling_back},
    {State::ineligible, Event::directed, State::checking},
    {State::ineligible, Event::adopted, State::committed},
    {State::ineligible, Event::ordered_back, State::rolling_back},
});

consteval bool deterministic(auto const& edges) {
  for (std::size_t i = 0; i < edges.size(); ++i)
    for (std::size_t k = i + 1; k < edges.size(); ++k)
      if (edges[i].from == edges[k].from && edges[i].event == edges[k].event) return false;
  return true;
}
static_assert(deterministic(kEdges), "two edges leave one state on one event");

/// The state an event leads to; nothing when it means nothing there (a stray event is logged and kept out).
[[nodiscard]] constexpr std::optional<State> next_state(State from, Event event) {
  for (auto const& edge : kEdges)
    if (edge.from == from && edge.event == event) return edge.to;
  return std::nullopt;
}
/// Before the switch: nothing that runs was touched, the target may be dropped.
[[nodiscard]] constexpr bool before_switch(State state) { return next_state(state, Event::withdrawn).has_value(); }
/// Nothing is under way.
[[nodiscard]] constexpr bool at_rest(State state) { return next_state(state, Event::directed).has_value(); }

}  // namespace fleet::agent
