#pragma once

#include "core/base/random.hpp"
#include "server/rollout/decide.hpp"
#include "server/rollout/judge.hpp"
#include "server/rollout/planner.hpp"

#include <memory>
#include <string>
#include <vector>

namespace fleet::simulation {

/// What a fleet and a release are like. Shares in [0, 1].
struct Scenario {
  std::string name;
  double offline = .1;    ///< devices out of reach at any time; each is so for about half an hour
  double fails = 0;       ///< updates that fail their golden test or probation
  double silent = 0;      ///< devices that are never heard of again once they switched
  double inaccurate = 0;  ///< devices that commit the release and measure badly
};

/// What came of a rollout.
struct Outcome {
  rollout::State state = rollout::State::draft;
  int stage = 0;
  std::int64_t exposed = 0;      ///< devices that ever switched
  std::int64_t stage_one = 0;    ///< devices planned for stage 1
  std::int64_t left_behind = 0;  ///< devices that still run the release after all came back online, though it was taken back
  double hours = 0;
  std::string reason;
};

/// One fleet of which each device runs version "1"; rolls out "2" until the rollout ends or 30 virtual days passed.
class SimulatedFleet {
public:
  SimulatedFleet(Scenario scenario, rollout::Policy policy, int devices, std::uint64_t seed);
  Result<Outcome> run();

private:
  struct Device {
    rollout::DeviceFacts facts;
    std::int64_t place = 0;
    SysTime online_changes{}, next_poll{}, result_at{}, silent_at{}, dispatched_at{};
    bool online = true, told = false, eligible = false, dead = false;
    rollout::DeviceRow row;
    rollout::Samples accuracy;
  };

  Result<void> refresh();
  void live(Device& device);
  void poll(Device& device);
  void finish(Device& device);
  Result<void> judge_now();
  rollout::Facts gather() const;
  Result<void> apply(rollout::Verdict const& verdict);
  [[nodiscard]] bool wants(Device const& device) const;

  Scenario scenario_;
  SeededRandom random_;
  SysTime now_;
  rollout::Rollout rollout_;
  std::vector<rollout::StageStratum> strata_;
  std::shared_ptr<rollout::Snapshot const> snapshot_;
  std::vector<Device> devices_;
  Outcome outcome_;
};

}  // namespace fleet::simulation
