#pragma once

#include "core/base/random.hpp"
#include "server/rollout/engine/decide.hpp"
#include "server/rollout/gates/judge.hpp"
#include "server/rollout/engine/plan.hpp"

#include <memory>
#include <queue>
#include <string>
#include <vector>

namespace fleet::simulation {

/// How a device fares that the release is bad for.
enum class BadKind {
  fails,   ///< half of them in the golden test, half in probation
  silent,  ///< it switches and is never heard of again
  metric,  ///< it commits, and every guarded metric is out of its bounds
};

/// What a fleet and a release are like. Shares are of devices, in [0, 1].
struct Scenario {
  std::string name = {};
  BadKind kind = BadKind::fails;
  double bad = 0;                         ///< devices that the release is bad for
  double offline = .1;                    ///< out of reach at any time; each is so for about half an hour
  double noise = 0;                       ///< updates that fail whatever the release
  double shock = 0;                       ///< whole sites that lose the network for an hour, once, within the first two
  std::int64_t bytes = 10 * 1024 * 1024;  ///< of the release, for `limits.egress`
};

/// Something that happened to the rollout.
struct Moment {
  Millis after{0};  ///< since the start
  rollout::State state = rollout::State::running;
  int stage = 0;
  std::int64_t told = 0, exposed = 0, healthy = 0, failed = 0, silent = 0;
  std::string reason;
};

/// What came of a rollout.
struct Outcome {
  rollout::State state = rollout::State::draft;
  int stage = 0;                 ///< in which the verdict fell
  bool by_harm = false;          ///< a harm gate tripped
  std::int64_t exposed = 0;      ///< devices that ever switched
  std::int64_t harmed = 0;       ///< those of them that the release is bad for
  std::int64_t stage_one = 0;    ///< devices planned for stage 1
  std::int64_t left_behind = 0;  ///< devices that still run the release after all came back online, though it was taken back
  Millis took{0};                ///< from the start to the last verdict
  std::string reason;
  std::vector<Moment> moments;
};

/// One fleet of which each device runs version "1"; rolls out "2" until the rollout ends, pauses, or 30 virtual days passed.
/// Approvals are given at once; windows, batteries and metered links are not modelled. The judge looks once a virtual minute, in long
/// stages once in a hundredth of the stage's age.
class VirtualFleet {
public:
  VirtualFleet(Scenario scenario, rollout::Policy policy, int devices, std::uint64_t seed);
  Result<Outcome> run();

private:
  enum class Fate { passes, fails_test, fails_probation };
  struct Device {
    registry::DeviceFacts facts;
    std::int64_t place = 0;
    std::string stratum;
    int stage = 0;  ///< the first that holds it; 0: none does
    bool bad = false, shocked = false;
    Fate fate = Fate::passes;
    bool online = true, told = false, dead = false;
    SysTime online_changes = SysTime::max(), next_poll = SysTime::max(), result_at = SysTime::max();
    SysTime wakes_at{}, silent_at{}, dispatched_at{}, switched_at{};
    rollout::DeviceRow row;
  };
  /// When a device has something to do; what is out of date by then does nothing.
  using Wake = std::pair<SysTime, std::size_t>;

  [[nodiscard]] double between(double low, double high) { return low + (high - low) * random_.uniform(); }
  Device make_device(int number);
  Result<void> refresh();
  void wake(std::size_t index);
  void live(std::size_t index);
  void live_until(SysTime until);
  void lose_network(Device& device);
  void poll(Device& device);
  void dispatch(Device& device, std::int64_t attempt);
  void take_result(Device& device);
  void leave_work(Device& device, std::string_view state);
  Result<void> judge_now();
  void note_silence();
  [[nodiscard]] rollout::Samples samples_of(Device const& device, rollout::AbsoluteGate const& gate) const;
  [[nodiscard]] rollout::Facts gather() const;
  Result<void> apply(rollout::Verdict const& verdict, rollout::Facts const& facts);
  void drop_unswitched();
  void bring_back_all();
  [[nodiscard]] Outcome sum_up();

  Scenario scenario_;
  SeededRandom random_;
  SysTime now_, shock_at_;
  Millis silence_{0};
  rollout::Rollout rollout_;
  std::vector<rollout::StageStratum> strata_;
  rollout::ViewPtr view_;
  std::shared_ptr<rollout::Snapshot const> snapshot_;
  std::vector<Device> devices_;
  std::priority_queue<Wake, std::vector<Wake>, std::greater<>> wakes_;
  Outcome outcome_;
};

}  // namespace fleet::simulation
