#include "agent/update/machine.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace fleet::agent;

namespace {

constexpr auto kStates = [] {
  std::array<State, kStateNames.size()> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<State>(i);
  return out;
}();
constexpr std::array kEvents{Event::directed, Event::adopted, Event::verified,  Event::fetched,      Event::blocked,  Event::ready,      Event::passed, Event::switched,
                             Event::healthy,  Event::failed,  Event::withdrawn, Event::ordered_back, Event::returned, Event::superseded, Event::resumed,
                             Event::asked,    Event::not_running, Event::undertaken};

}  // namespace

TEST_CASE("every pair of state and event that the table does not name means nothing") {
  std::size_t named = 0;
  for (auto const state : kStates)
    for (auto const event : kEvents)
      if (next_state(state, event)) ++named;
  CHECK(named == kEdges.size());
}

TEST_CASE("no state is a dead end, and every state can be reached from idle") {
  std::set<State> reached{State::idle};
  for (std::size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (auto const& edge : kEdges)
      if (reached.contains(edge.from)) reached.insert(edge.to);
  }
  CHECK(reached.size() == kStates.size());
  for (auto const state : kStates) {
    CAPTURE(to_string(state));
    CHECK(std::any_of(kEdges.begin(), kEdges.end(), [&](Edge const& edge) { return edge.from == state; }));
  }
}

TEST_CASE("what was switched can only be committed or rolled back; what was not can be dropped") {
  for (auto const state : kStates) {
    CAPTURE(to_string(state));
    bool const touched = state == State::switching || state == State::probation || state == State::rolling_back;
    int const kinds = (touched ? 1 : 0) + (before_switch(state) ? 1 : 0) + (at_rest(state) ? 1 : 0);
    CHECK(kinds == 1);
    if (touched) CHECK_FALSE(next_state(state, Event::withdrawn));
  }
  CHECK(next_state(State::switching, Event::failed) == State::rolling_back);
  CHECK(next_state(State::probation, Event::failed) == State::rolling_back);
  CHECK(next_state(State::testing, Event::failed) == State::failed);
}

TEST_CASE("states have the names that polls and reports use, both ways") {
  for (auto const state : kStates) CHECK(state_of(to_string(state)) == state);
  CHECK_FALSE(state_of("unheard").has_value());
}
