#include "server/rollout/gates/metrics.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

using namespace fleet;
using namespace fleet::rollout;

namespace {

double normal(SeededRandom& random) { return std::sqrt(-2 * std::log1p(-random.uniform())) * std::cos(2 * std::numbers::pi * random.uniform()); }

Policy policy_of(double margin = 0, bool higher_is_worse = true) {
  Policy policy;
  policy.stages.emplace_back();
  policy.metrics.push_back({"latency_ms", {}, higher_is_worse, margin});
  return policy;
}

/// A window of `canaries` beside nine times as many controls; devices differ by 1, and canaries are worse by `shift`.
Measured window_of(SeededRandom& random, std::size_t canaries, double shift, bool with_before) {
  Measured out;
  out.metrics.resize(1);
  auto& arms = out.metrics[0]["hw"];
  auto const device = [&](double more) {
    double const own = 100 + normal(random);
    return DeviceValue{own + more, with_before ? std::optional(own + .1 * normal(random)) : std::nullopt};
  };
  for (std::size_t i = 0; i < canaries; ++i) arms.canary.push_back(device(shift));
  for (std::size_t i = 0; i < 9 * canaries; ++i) arms.control.push_back(device(0));
  return out;
}

WindowCounts counts_of(std::int64_t canaries) {
  WindowCounts out;
  out["hw"][0].started = out["hw"][0].healthy = canaries;
  out["hw"][1].started = out["hw"][1].healthy = 9 * canaries;
  return out;
}

/// Canaries until the gate trips, in windows of ten; 0: not within `most`.
int trips_after(Policy const& policy, double shift, bool with_before, int most, std::uint64_t seed) {
  SeededRandom random(seed);
  auto folded = fold_nothing(policy);
  Latches const latches;
  Facts const facts;
  for (int canaries = 10; canaries <= most; canaries += 10) {
    fold_measured(folded, policy, counts_of(10), window_of(random, 10, shift, with_before));
    std::vector<GateVerdict> out;
    judge_metrics({policy, 1, false, latches, folded, facts}, out);
    REQUIRE(out.size() == 2);
    if (out[0].decision == Ruling::rollback) return canaries;
  }
  return 0;
}

}  // namespace

TEST_CASE("a shift by one deviation is seen within a hundred canaries, by half of one within three hundred, and none is not seen") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    auto const one = trips_after(policy_of(), 1, false, 100, seed), half = trips_after(policy_of(), .5, false, 300, seed);
    CHECK(one > 0);
    CHECK(half >= one);
    CHECK(trips_after(policy_of(), 0, false, 600, seed) == 0);
    CHECK(trips_after(policy_of(), -1, false, 300, seed) == 0);
    auto const change = trips_after(policy_of(), .5, true, 100, seed);
    CHECK(change > 0);
    CHECK(change <= 30);
  }
}

TEST_CASE("where half of both arms have a period before, changes of these are compared: devices that differ much hide nothing") {
  for (bool const changes : {true, false}) {
    SeededRandom random(7);
    auto folded = fold_nothing(policy_of());
    for (int window = 0; window < 6; ++window) {
      auto measured = window_of(random, 10, .5, true);
      auto& arms = measured.metrics[0]["hw"];
      for (auto* const devices : {&arms.canary, &arms.control})
        for (std::size_t i = 0; i < devices->size(); ++i)
          if (i % 5 < (changes ? 2U : 3U)) (*devices)[i].before.reset();
      fold_measured(folded, policy_of(), counts_of(10), measured);
    }
    CHECK(folded.metrics[0].canaries == (changes ? 36 : 60));
    bool const all = folded.metrics[0].worse == folded.metrics[0].canaries;
    CHECK(all == changes);
  }
}

TEST_CASE("where low is bad the other side is watched, and what the margin lets pass is like its controls") {
  CHECK(trips_after(policy_of(0, false), -1, false, 100, 3) > 0);
  CHECK(trips_after(policy_of(0, false), 1, false, 300, 3) == 0);
  CHECK(trips_after(policy_of(.02), 1, false, 300, 3) == 0);  // 2 % of 100 are two deviations
  CHECK(trips_after(policy_of(.02), 4, false, 100, 3) > 0);
}

TEST_CASE("controls are each of one canary, values that are no numbers are left out, and windows without control say nothing") {
  auto const policy = policy_of();
  auto folded = fold_nothing(policy);
  Measured measured;
  measured.metrics.resize(1);
  auto& arms = measured.metrics[0]["hw"];
  arms.canary.assign(3, {5});
  fold_measured(folded, policy, counts_of(3), measured);
  CHECK(folded.metrics[0].canaries == 0);
  arms.control.assign(7, {1});
  arms.canary.push_back({std::numeric_limits<double>::quiet_NaN()});
  fold_measured(folded, policy, counts_of(3), measured);
  CHECK(folded.metrics[0].canaries == 3);  // two controls each, one is left
  CHECK(folded.metrics[0].worse == 3);
  arms.control.assign(2, {1});
  fold_measured(folded, policy, counts_of(3), measured);
  CHECK(folded.metrics[0].canaries == 5);  // two of three have one each
}

TEST_CASE("a metric that few send holds a stage back") {
  auto const policy = policy_of();
  auto folded = fold_nothing(policy);
  Measured measured;
  measured.metrics.resize(1);
  measured.metrics[0]["hw"].canary.assign(4, {5});
  fold_measured(folded, policy, counts_of(10), measured);
  Latches const latches;
  Facts const facts;
  std::vector<GateVerdict> out;
  judge_metrics({policy, 1, false, latches, folded, facts}, out);
  REQUIRE(out.size() == 2);
  CHECK(out[1].name == "coverage latency_ms");
  CHECK(out[1].decision == Ruling::hold);
  fold_measured(folded, policy, counts_of(2), [&] {
    measured.metrics[0]["hw"].canary.assign(2, {5});
    return measured;
  }());
  out.clear();
  judge_metrics({policy, 1, false, latches, folded, facts}, out);
  CHECK(out[1].decision == Ruling::promote);
}

TEST_CASE("drift pauses, unless the policy says else, and is silent while nothing moves") {
  Policy policy;
  policy.stages.emplace_back();
  policy.drift = DriftGate{{"confidence"}, false};
  auto const judged = [&](bool moved) {
    auto folded = fold_nothing(policy);
    SeededRandom random(5);
    for (int window = 0; window < 40; ++window) {
      Measured measured;
      measured.drift.resize(1);
      auto& arms = measured.drift[0]["hw"];
      auto const bins = [&](double high) {
        double const share = std::min(1., high + .1 * (random.uniform() - .5));
        return std::vector<double>{1 - share, share};
      };
      for (int i = 0; i < 10; ++i) arms.canary.push_back(bins(moved ? .5 : .8));
      for (int i = 0; i < 90; ++i) arms.control.push_back(bins(.8));
      fold_measured(folded, policy, counts_of(10), measured);
    }
    Latches const latches;
    Facts const facts;
    std::vector<GateVerdict> out;
    judge_drift({policy, 1, false, latches, folded, facts}, out);
    return out.front().decision;
  };
  CHECK(judged(false) == Ruling::hold);
  CHECK(judged(true) == Ruling::pause);
  policy.drift->rolls_back = true;
  CHECK(judged(true) == Ruling::rollback);
}
