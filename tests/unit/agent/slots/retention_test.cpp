#include "agent/slots/retention.hpp"

#include <doctest/doctest.h>

using namespace fleet::agent;

namespace {

using Digests = std::set<std::string>;

ModelState running_two() {
  ModelState state;
  state.model = "reader";
  state.state = State::committed;
  state.running = state.target = {"d4", "4"};
  state.previous = {"d3", "3"};
  state.former = {"d2", "d1"};
  return state;
}

std::uint64_t ten_each(std::string const&) { return 10; }

}  // namespace

TEST_CASE("the current and the previous version stay, and what is being installed; what was refused or taken back does not") {
  auto state = running_two();
  CHECK(needed_versions(state) == Digests{"d3", "d4"});
  state.target = {"d5", "5"};
  for (auto const at : {State::checking, State::downloading, State::staged, State::waiting, State::testing, State::switching}) {
    state.state = at;
    CHECK(needed_versions(state) == Digests{"d3", "d4", "d5"});
  }
  for (auto const at : {State::failed, State::idle, State::rolled_back}) {
    state.state = at;
    CHECK(needed_versions(state) == Digests{"d3", "d4"});
  }
  state.state = State::probation;
  state.running = {"d5", "5"};
  state.previous = {"d4", "4"};
  state.older = {"d3", "3"};
  CHECK(needed_versions(state) == Digests{"d3", "d4", "d5"});
}

TEST_CASE("the owner keeps more, the newest first, by number and by size") {
  auto const state = running_two();
  CHECK(kept_versions(state, {2, 0}, ten_each) == Digests{"d3", "d4"});
  CHECK(kept_versions(state, {3, 0}, ten_each) == Digests{"d2", "d3", "d4"});
  CHECK(kept_versions(state, {9, 0}, ten_each) == Digests{"d1", "d2", "d3", "d4"});
  CHECK(kept_versions(state, {9, 30}, ten_each) == Digests{"d2", "d3", "d4"});
  CHECK(kept_versions(state, {9, 5}, ten_each) == Digests{"d3", "d4"});
}

TEST_CASE("at a commit the oldest becomes a former one, once") {
  ModelState state;
  state.running = {"d3", "3"};
  state.previous = {"d2", "2"};
  state.older = {"d1", "1"};
  state.former = {"d1", "d3", "d0"};
  retire_older(state);
  CHECK(state.older.none());
  CHECK(state.former == std::vector<std::string>{"d1", "d0"});
  retire_older(state);
  CHECK(state.former == std::vector<std::string>{"d1", "d0"});
}
