#pragma once

#include "server/rollout/engine/step.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace fleet::rollout::test {

/// Devices of one arm that do not come out healthy.
struct Bad {
  std::int64_t failed = 0, silent = 0, left = 0, golden = 0;
};

/// A rollout by `step` alone: windows are told and come to their outcomes when a case says so.
struct Stepping {
  Policy policy;
  Places places;
  Ladder ladder;
  Progress progress;
  Standing standing;
  Facts facts;
  Millis now{std::chrono::hours(1)};
  Verdict last;

  explicit Stepping(std::string const& json, std::vector<std::pair<std::string, int>> const& strata = {{"a", 100}}) : policy(*decode_policy(json)) {
    for (auto const& [stratum, devices] : strata)
      for (int i = 0; i < devices; ++i) places[stratum].push_back(place("salt", stratum + "-" + std::to_string(i)));
    ladder = make_ladder(policy.stages, policy.holdback, places);
  }

  /// One look, and what the state machine makes of it.
  Verdict const& look(Millis later = Millis{1'000}) {
    now += later;
    auto const window = progress.window;
    auto const from = progress.canaries;
    auto stepped = step({policy, ladder}, progress, {now, standing, facts});
    progress = std::move(stepped.progress);
    last = std::move(stepped.verdict);
    standing.latches = last.latches;
    if (last.begin) standing.begun = true;
    if (last.event) {
      auto const to = next_state(standing.state, *last.event);
      REQUIRE(to.has_value());
      standing.state = *to;
      if (*last.event == Event::widen) ++standing.stage;
    }
    if (progress.window != window) {
      facts.window.clear();
      before_ = from;
    }
    return last;
  }
  [[nodiscard]] std::string event() const { return last.event ? std::string(to_string(*last.event)) : "none"; }
  [[nodiscard]] bool said(std::string_view words) const { return last.reason.find(words) != std::string::npos; }
  [[nodiscard]] std::int64_t canaries() const { return ladder.counts[static_cast<std::size_t>(progress.canaries)]; }
  [[nodiscard]] std::int64_t controls() const { return ladder.counts[static_cast<std::size_t>(progress.controls)] - canaries(); }

  /// All devices of the open window start.
  void start() {
    facts.window.clear();
    facts.undecided = 0;
    for (auto const& [stratum, sorted] : places) {
      auto const upto = [&](int at) { return std::count_if(sorted.begin(), sorted.end(), [&](std::int64_t p) { return is_member(p, ladder.threshold(at, stratum)); }); };
      auto& cells = facts.window[stratum];
      cells[0].started = cells[0].undecided = upto(progress.canaries) - upto(before_);
      cells[1].started = cells[1].undecided = upto(progress.controls) - upto(progress.canaries);
      facts.undecided += cells[0].started;
    }
    facts.told = canaries();
    facts.exposed = facts.told;
  }
  /// The devices of one stratum, or of all, come to their outcome.
  void finish(Bad const& canary = {}, Bad const& control = {}, std::string const& only = "") {
    auto const decide = [](Cell& cell, Bad const& bad) {
      auto const n = cell.undecided;
      cell = {cell.started, n - bad.failed - bad.silent - bad.left - bad.golden, bad.failed, bad.golden, bad.silent, bad.left, 0};
      return n;
    };
    bool first = true;
    for (auto& [stratum, cells] : facts.window) {
      if (!only.empty() && only != stratum) continue;
      bool const bad = first || !only.empty();
      facts.undecided -= decide(cells[0], bad ? canary : Bad{});
      decide(cells[1], bad ? control : Bad{});
      facts.healthy += cells[0].healthy;
      facts.failed += cells[0].failed + cells[0].golden;
      facts.silent += cells[0].silent;
      first = false;
    }
    facts.decided = facts.healthy + facts.failed + facts.silent;
  }
  /// A whole window, and the look that takes it in.
  Verdict const& play(Bad const& canary = {}, Bad const& control = {}) {
    start();
    look();
    finish(canary, control);
    return look();
  }

private:
  int before_ = 0;
};

}  // namespace fleet::rollout::test
