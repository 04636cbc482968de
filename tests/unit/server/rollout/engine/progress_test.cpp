#include "server/rollout/engine/progress.hpp"

#include "core/base/random.hpp"
#include "server/rollout/gates/metrics.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::rollout;

TEST_CASE("progress is read back to the last bit: a restarted server judges exactly alike") {
  SeededRandom random(11);
  Policy policy;
  policy.failures.emplace().max_odds_ratio = {6.1, 3.3};
  policy.metrics = {{"latency_ms", {}, true, 0}, {"power_w", .95, true, .1}};
  policy.drift = DriftGate{{"confidence"}, false};
  Progress progress;
  progress.window = 3;
  progress.shut = true;
  progress.judged = false;
  progress.opened = Millis(123);
  progress.stage = 2;
  progress.full = true;
  progress.in_stage = 1;
  progress.canaries = 4;
  progress.controls = 9;
  progress.stage_since = Millis(5);
  progress.deadline = Millis(99);
  progress.quarantined = {"hw/a", "b"};
  progress.folded = fold_nothing(policy);
  for (int window = 0; window < 30; ++window) {
    WindowCounts counts;
    for (auto const* const stratum : {"hw-1", "hw \"2\""}) {
      auto& [canary, control] = counts[stratum];
      canary.started = 20;
      canary.failed = static_cast<std::int64_t>(3 * random.uniform());
      canary.healthy = 20 - canary.failed;
      control.started = 150;
      control.failed = static_cast<std::int64_t>(5 * random.uniform());
      control.healthy = 150 - control.failed;
    }
    Measured measured;
    measured.metrics.resize(2);
    measured.drift.resize(1);
    for (int i = 0; i < 6; ++i) {
      measured.metrics[0]["hw-1"].canary.push_back({random.uniform(), random.uniform()});
      measured.metrics[1]["hw-1"].canary.push_back({random.uniform()});
      for (auto& metric : measured.metrics) metric["hw-1"].control.push_back({random.uniform(), random.uniform()});
      double const share = random.uniform();
      measured.drift[0]["hw-1"].canary.push_back({share, 1 - share});
      measured.drift[0]["hw-1"].control.push_back({1 - share, share});
    }
    fold(progress.folded, counts);
    fold_measured(progress.folded, policy, counts, measured);
    auto const again = decode_progress(encode(progress));
    REQUIRE(again.has_value());
    CHECK((*again == progress));
  }
  CHECK(progress.folded.metrics[0].canaries > 0);
  CHECK(progress.folded.drift[0].canaries > 0);
}
