#include "server/rollout/engine/rows.hpp"

#include "server/rollout/policy/states.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace fleet;
using namespace fleet::rollout;
namespace ds = fleet::rollout::device_state;

namespace {

wire::UpdateItem item(std::string const& state, std::string const& running = "1", std::string const& code = "") {
  wire::UpdateItem out;
  out.version = "2";
  out.state = state;
  out.running_version = running;
  out.error.code = code;
  return out;
}

std::string text_of(std::optional<RowMove> const& move) {
  if (!move) return "-";
  return std::string(move->state) + (move->exposed ? " exposed" : "") + (move->starts ? " starts" : "") + (move->kind.empty() ? "" : " " + std::string(move->kind));
}

/// What cells and counts hold, in one text: equal texts are equal facts.
std::string text_of(Facts const& f) {
  std::string out;
  for (auto const value : {f.told, f.left, f.there, f.healthy, f.failed, f.silent, f.decided, f.preparing, f.waiting, f.undecided, f.at_work, f.exposed})
    out += std::to_string(value) + " ";
  for (auto const& [stratum, cells] : f.window)
    for (auto const& one : cells)
      for (auto const value : {one.started, one.healthy, one.failed, one.golden, one.silent, one.left, one.undecided}) out += std::to_string(value) + ",";
  return out;
}

/// A row that reports move, counted as the server does.
struct Row {
  std::string_view state = ds::kDispatched, outcome = {}, kind = row_kind::kPlain;
  bool exposed = false;
  int window = 0;
  Arm arm = Arm::canary;

  [[nodiscard]] CountKey key() const { return {"a", arm, window, state, outcome, exposed, kind}; }
  void take(Facts& facts, wire::UpdateItem const& told, int current) {
    auto const move = move_of(state, told);
    if (!move) return;
    count(facts, key(), -1, current);
    state = move->state;
    outcome = outcome_after(outcome, state);
    exposed = exposed || (move->exposed && arm == Arm::canary);
    if (kind.empty()) kind = move->kind;
    if (move->starts && window == 0) window = current;
    count(facts, key(), 1, current);
  }
};

}  // namespace

TEST_CASE("every state that a device reports shows as a state of its row; it has started from its golden test, its switch or its proof on") {
  struct Case {
    std::string reported, shown;
  };
  for (auto const& c : {Case{"checking", "downloading"}, {"downloading", "downloading"}, {"staged", "downloading"}, {"waiting", "waiting"},
                        {"testing", "testing starts"}, {"switching", "testing starts"}, {"probation", "probation exposed starts"},
                        {"committed", "healthy exposed starts"}, {"proving", "probation starts"}, {"proved", "healthy starts"},
                        {"ineligible", "ineligible"}, {"idle", "-"}, {"a newer agent's word", "-"}}) {
    CAPTURE(c.reported);
    CHECK(text_of(move_of(ds::kDispatched, item(c.reported))) == c.shown);
  }
}

TEST_CASE("failures: golden tests are a kind of their own, and what says nothing about the release is no evidence") {
  struct Case {
    std::string before, reported, code, shown;
  };
  for (auto const& c : {Case{"testing", "failed", "golden_mismatch", "failed starts golden"},
                        {"downloading", "failed", "golden_timeout", "failed starts golden"},
                        {"probation", "rolled_back", "health_failed", "failed starts"},
                        {"probation", "rolled_back", "probation_crashed", "failed starts"},
                        {"downloading", "failed", "activate_failed", "failed starts"},
                        {"testing", "failed", "anything_else", "failed starts"},
                        {"downloading", "failed", "anything_else", "failed install"},
                        {"dispatched", "failed", "network", "failed install"},
                        {"testing", "failed", "disk_full", "failed install"},
                        {"probation", "rolled_back", "disk_full", "failed starts"},  // it ran: it may have filled the disk itself
                        {"probation", "rolled_back", "rolled_back_by_owner", "failed none"},
                        {"probation", "rolled_back", "", "failed none"},  // somebody on the device asked for it
                        {"testing", "failed", "ineligible", "ineligible"},
                        {"probation", "rolling_back", "health_failed", "failed starts"}}) {
    CAPTURE(c.code);
    CHECK(text_of(move_of(c.before, item(c.reported, "1", c.code))) == c.shown);
  }
}

TEST_CASE("late and contradictory reports: what is final stays, what ran is noted all the same") {
  struct Case {
    std::string before, reported, running, code, shown;
  };
  for (auto const& c : {Case{"silent", "committed", "2", "", "silent exposed"},
                        {"silent", "downloading", "1", "", "silent"},
                        {"silent", "rolled_back", "1", "health_failed", "silent"},
                        {"reverted", "committed", "2", "", "reverted exposed"},
                        {"reverted", "failed", "1", "network", "-"},
                        {"reverting", "probation", "2", "", "reverting exposed"},
                        {"left", "committed", "2", "", "left exposed"},
                        {"left", "downloading", "1", "", "-"},
                        {"dropped", "downloading", "1", "", "-"},
                        {"dropped", "probation", "2", "", "probation exposed starts"},
                        {"dropped", "rolled_back", "1", "health_failed", "failed starts"},  // it was left out, and came after all
                        {"dropped", "failed", "1", "golden_mismatch", "failed starts golden"},
                        {"dropped", "failed", "1", "network", "-"},
                        {"dropped", "rolled_back", "1", "rolled_back_by_owner", "-"},
                        {"failed", "rolled_back", "1", "something", "failed"},       // failed, then rolled back: the first told the cause
                        {"testing", "downloading", "2", "", "downloading exposed"},  // it runs what it says it downloads
                        {"dispatched", "proved", "2", "", "healthy starts"}}) {
    CAPTURE(c.before);
    CAPTURE(c.reported);
    CHECK(text_of(move_of(c.before, item(c.reported, c.running, c.code))) == c.shown);
  }
}

TEST_CASE("whatever a row is counted as, taking it away again leaves nothing") {
  Facts const nothing;
  for (auto const arm : {Arm::canary, Arm::control, Arm::holdback})
    for (int const window : {0, 1, 2})
      for (auto const state : ds::kNames)
        for (auto const outcome : {std::string_view(), ds::kHealthy, ds::kFailed, ds::kSilent, ds::kIneligible})
          for (bool const exposed : {false, true})
            for (auto const kind : {row_kind::kPlain, row_kind::kGolden, row_kind::kNoEvidence, row_kind::kThere})
              for (bool const again : {false, true}) {
                CountKey const key{"a", arm, window, state, outcome, exposed, kind, again};
                Facts facts;
                count(facts, key, 3, 2);
                auto const& cells = facts.window["a"];
                for (auto const& one : cells) CHECK(one.started == one.healthy + one.failed + one.golden + one.silent + one.left + one.undecided);
                if (window != 2) CHECK(cells == Cells{});
                if (window == 0) CHECK(cells == Cells{});
                CHECK(facts.healthy + facts.failed + facts.silent == facts.decided);
                count(facts, key, -3, 2);
                auto expected = nothing;
                expected.window["a"];
                CHECK(text_of(facts) == text_of(expected));
              }
}

TEST_CASE("what a row counts as") {
  struct Case {
    std::string name;
    CountKey key;
    std::int64_t told, decided, undecided, preparing, waiting, canaries, controls;
  };
  for (auto const& c : {Case{"told", {"a", Arm::canary, 0, ds::kDispatched}, 1, 0, 1, 1, 0, 0, 0},
                        {"waits for its window", {"a", Arm::canary, 0, ds::kWaiting}, 1, 0, 1, 0, 1, 0, 0},
                        {"in probation", {"a", Arm::canary, 1, ds::kProbation, "", true}, 1, 0, 1, 0, 0, 1, 0},
                        {"healthy", {"a", Arm::canary, 1, ds::kHealthy, ds::kHealthy, true}, 1, 1, 0, 0, 0, 1, 0},
                        {"healthy of another window", {"a", Arm::canary, 2, ds::kHealthy, ds::kHealthy, true}, 1, 1, 0, 0, 0, 0, 0},
                        {"failed, and returned", {"a", Arm::canary, 1, ds::kReverted, ds::kFailed, true}, 1, 1, 0, 0, 0, 1, 0},
                        {"failed for a reason that is no evidence", {"a", Arm::canary, 0, ds::kFailed, ds::kFailed, false, row_kind::kNoEvidence}, 1, 0, 0, 0, 0, 0, 0},
                        {"ran the release before", {"a", Arm::canary, 0, ds::kHealthy, ds::kHealthy, false, row_kind::kThere}, 1, 0, 0, 0, 0, 0, 0},
                        {"failed an attempt before this one", {"a", Arm::canary, 1, ds::kFailed, ds::kFailed, true, "", true}, 0, 0, 0, 0, 0, 0, 0},
                        {"left after it started", {"a", Arm::canary, 1, ds::kLeft, "", true}, 0, 0, 0, 0, 0, 1, 0},
                        {"left before", {"a", Arm::canary, 0, ds::kLeft}, 0, 0, 0, 0, 0, 0, 0},
                        {"dropped", {"a", Arm::canary, 1, ds::kDropped}, 1, 0, 0, 0, 0, 0, 0},
                        {"ineligible", {"a", Arm::canary, 0, ds::kIneligible, ds::kIneligible}, 1, 0, 0, 0, 0, 0, 0},
                        {"a control that was told", {"a", Arm::control, 0, ds::kDispatched}, 0, 0, 0, 1, 0, 0, 0},
                        {"a control that proves", {"a", Arm::control, 1, ds::kProbation}, 0, 0, 0, 0, 0, 0, 1},
                        {"a control that proved", {"a", Arm::control, 1, ds::kHealthy, ds::kHealthy}, 0, 0, 0, 0, 0, 0, 1},
                        {"one of the holdback", {"a", Arm::holdback, 1, ds::kFailed, ds::kFailed}, 0, 0, 0, 0, 0, 0, 1},
                        {"a control that left", {"a", Arm::control, 1, ds::kLeft}, 0, 0, 0, 0, 0, 0, 1},
                        {"a control whose proof is no evidence", {"a", Arm::control, 1, ds::kFailed, ds::kFailed, false, row_kind::kNoEvidence}, 0, 0, 0, 0, 0, 0, 0}}) {
    CAPTURE(c.name);
    Facts facts;
    count(facts, c.key, 1, 1);
    CHECK(facts.told == c.told);
    CHECK(facts.decided == c.decided);
    CHECK(facts.undecided == c.undecided);
    CHECK(facts.preparing == c.preparing);
    CHECK(facts.waiting == c.waiting);
    CHECK(facts.window["a"][0].started == c.canaries);
    CHECK(facts.window["a"][1].started == c.controls);
  }
}

TEST_CASE("of those that failed, who runs it since is counted among the same that failed: a failure on the way is neither") {
  Facts facts;
  count(facts, {"a", Arm::canary, 0, ds::kHealthy, ds::kFailed, true, row_kind::kInstall}, 1, 1);
  CHECK(facts.recovered == 0);
  count(facts, {"a", Arm::canary, 1, ds::kHealthy, ds::kFailed, true}, 1, 1);
  CHECK(facts.recovered == 1);
  CHECK(facts.failed == 1);
}

TEST_CASE("the order in which devices report, and what comes twice, changes no count") {
  std::vector<std::vector<wire::UpdateItem>> const stories{
      {item("downloading"), item("testing"), item("probation", "2"), item("committed", "2"), item("committed", "2")},
      {item("downloading"), item("failed", "1", "network"), item("failed", "1", "network")},
      {item("testing"), item("failed", "1", "golden_mismatch"), item("rolled_back", "1", "golden_mismatch")},
      {item("testing"), item("probation", "2"), item("rolling_back", "2", "health_failed"), item("rolled_back", "1", "health_failed")},
      {item("waiting"), item("waiting")},
  };
  std::string first;
  for (int order = 0; order < 3; ++order) {
    Facts facts;
    std::vector<Row> rows(stories.size());
    for (auto const& row : rows) count(facts, row.key(), 1, 1);
    auto const tell = [&](std::size_t device, std::size_t i) {
      if (i < stories[device].size()) rows[device].take(facts, stories[device][i], 1);
    };
    for (std::size_t a = 0; a < 5; ++a)
      for (std::size_t b = 0; b < 5; ++b) {
        if (order == 0) tell(a, b);      // one device after another
        if (order == 1) tell(b, a);      // all at once
        if (order == 2) tell(4 - b, a);  // the other way round
      }
    if (first.empty()) first = text_of(facts);
    CHECK(text_of(facts) == first);
    CHECK(facts.healthy == 1);
    CHECK(facts.failed == 2);
    CHECK(facts.window["a"][0].golden == 1);
    CHECK(facts.window["a"][0].started == 3);
    CHECK(facts.exposed == 2);
  }
}

TEST_CASE("who failed the attempt before tries again, controls never do") {
  CHECK(tries_again(Arm::canary, ds::kFailed, 1, 2));
  CHECK_FALSE(tries_again(Arm::canary, ds::kFailed, 2, 2));
  CHECK_FALSE(tries_again(Arm::canary, ds::kHealthy, 1, 2));
  CHECK_FALSE(tries_again(Arm::control, ds::kFailed, 1, 2));
}

TEST_CASE("the end of a rollout drops who has not switched; quiet rows are silent once they started") {
  for (auto const state : {ds::kDispatched, ds::kDownloading, ds::kWaiting, ds::kTesting, ds::kProbation, ds::kSilent}) {
    CHECK(settled(state, false) == ds::kDropped);
    CHECK(settled(state, true).empty());
  }
  for (auto const state : {ds::kHealthy, ds::kFailed, ds::kReverted, ds::kLeft, ds::kIneligible}) CHECK(settled(state, false).empty());
  CHECK(quiet_state(0) == ds::kWaiting);
  CHECK(quiet_state(3) == ds::kSilent);
  CHECK(outcome_after("", ds::kProbation).empty());
  CHECK(outcome_after("", ds::kSilent) == ds::kSilent);
  CHECK(outcome_after(ds::kFailed, ds::kReverted) == ds::kFailed);
}

TEST_CASE("the longest honest gap is the largest of what a device does, never below a minute; silence is so many of them") {
  using std::chrono::minutes;
  CHECK(longest_gap({.report = seconds(1), .poll = seconds(1)}) == minutes(1));
  CHECK(longest_gap({.report = minutes(10), .poll = minutes(1)}) == minutes(10));
  CHECK(longest_gap({.poll = minutes(1), .parked = minutes(5)}) == minutes(5));
  CHECK(longest_gap({.told = minutes(30)}) == minutes(30));
  CHECK(silent_after({.report = minutes(2)}, 3) == minutes(6));
  CHECK(silent_after({}, 0) == minutes(1));
}

TEST_CASE("a look at a quiet row: silent when nothing was heard, or nothing came of it in all its time; else when to look again") {
  using std::chrono::minutes;
  auto const look = [](int heard, int started, int limit, int now) { return look_quiet(minutes(heard), minutes(started), minutes(3), minutes(limit), minutes(now)); };
  CHECK(look(10, 0, 0, 13).silent);
  CHECK_FALSE(look(11, 0, 0, 13).silent);
  CHECK(look(11, 0, 0, 13).look_again == minutes(14));
  CHECK_FALSE(look(100, 0, 0, 102).silent);  // it says what it waits for: it may take any time
  CHECK(look(100, 0, 60, 102).silent);
  CHECK_FALSE(look(62, 0, 60, 62).silent);
  CHECK(look(62, 0, 60, 62).look_again == minutes(63));
}
