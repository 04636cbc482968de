#pragma once

#include "server/rollout/gates/gate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace fleet::rollout::test {

/// Devices of one arm that are not healthy; the others are.
struct Bad {
  std::int64_t failed = 0, golden = 0, silent = 0, left = 0;
};
inline Cell cell(std::int64_t started, Bad const& bad = {}) {
  Cell out;
  out.started = started;
  out.failed = bad.failed;
  out.golden = bad.golden;
  out.silent = bad.silent;
  out.left = bad.left;
  out.healthy = started - bad.failed - bad.golden - bad.silent - bad.left;
  return out;
}
inline WindowCounts one(Cell const& canaries, Cell const& controls, std::string const& stratum = "a") { return {{stratum, {canaries, controls}}}; }

/// A policy, what its windows have shown, and what else is known.
struct Bench {
  Policy policy;
  Folded folded;
  Facts facts;
  Latches latches;
  int stage = 1;
  bool full = false;

  explicit Bench(std::string const& json) : policy(*decode_policy(json)), folded(fold_nothing(policy)) {}
  Bench& with(WindowCounts const& window) {
    fold(folded, window);
    for (auto const& [stratum, cells] : window) {
      facts.healthy += cells[0].healthy;
      facts.failed += cells[0].failed + cells[0].golden;
      facts.silent += cells[0].silent;
    }
    facts.told = facts.decided = facts.healthy + facts.failed + facts.silent;
    return *this;
  }
  [[nodiscard]] std::vector<GateVerdict> judged() const { return judge_all({policy, stage, full, latches, folded, facts}); }
  /// The gate's verdict of this kind; one without a name where it said nothing.
  [[nodiscard]] GateVerdict said(std::string_view name, std::string_view test) const {
    auto const all = judged();
    auto const found = std::find_if(all.begin(), all.end(), [&](GateVerdict const& verdict) { return verdict.name == name && verdict.test == test; });
    return found == all.end() ? GateVerdict{} : *found;
  }
  [[nodiscard]] std::string ruling(std::string_view name, std::string_view test) const {
    auto const verdict = said(name, test);
    return verdict.name.empty() ? "nothing" : std::string(to_string(verdict.decision));
  }
};

inline std::string const kCompared = R"({"stages":[{"percent":10},{"percent":100}],"gates":{"failures":{"max_odds_ratio":[5]},"silent":{},"certify":{"devices_max":["5%"]}}})";

}  // namespace fleet::rollout::test
