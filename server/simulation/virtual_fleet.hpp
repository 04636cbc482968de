#pragma once

#include "core/base/random.hpp"
#include "server/rollout/engine/decide.hpp"
#include "server/rollout/engine/plan.hpp"
#include "server/rollout/engine/rows.hpp"
#include "server/rollout/engine/samples.hpp"
#include "server/rollout/engine/step.hpp"
#include "server/simulation/measures.hpp"
#include "server/simulation/scenario.hpp"
#include "server/simulation/weather.hpp"

#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

namespace fleet::simulation {

/// What was known when a window was judged, or the rollout's state changed.
struct Moment {
  Millis after{0};  ///< since the start
  rollout::State state = rollout::State::running;
  int stage = 0, window = 0;
  std::int64_t told = 0, exposed = 0, healthy = 0, failed = 0, silent = 0;
  std::int64_t canaries = 0, canaries_bad = 0, controls = 0, controls_bad = 0;  ///< of judged windows, all strata, storms too
  std::vector<std::pair<std::string, double>> evidence;  ///< log10(e-value / threshold) of each harm gate: above 0 it has tripped
  std::string reason;
};

/// What came of a rollout.
struct Outcome {
  rollout::State state = rollout::State::draft;
  int stage = 0;                 ///< in which the verdict fell
  std::string gate;              ///< that tripped; empty: none did
  std::string winner;            ///< of a test: A, B or none
  std::int64_t exposed = 0;      ///< devices that ever switched
  std::int64_t harmed = 0;       ///< those of them for which the release made the difference
  std::int64_t canaries = 0;     ///< started, at the verdict
  std::int64_t left_behind = 0;  ///< devices that still run the release after all came back online, though it was taken back
  Millis took{0};                ///< from the start to the last verdict
  std::int64_t effort = 0;       ///< what it cost to simulate, about a microsecond of a core each
  std::string reason;
  std::vector<Moment> moments;
};

/// One fleet of which each device runs version "1"; rolls out "2" until the rollout ends, pauses, or 60 virtual days passed, by the engine that the
/// server runs: membership, what a device should run, where its words move its row, silence, steps. Devices and their surroundings are modelled here,
/// and nothing else. Approvals are given at once.
class VirtualFleet {
public:
  VirtualFleet(Scenario const& scenario, rollout::Policy const& policy, int devices, std::uint64_t seed);
  /// @param effort_max  @errors unprocessable (`too_much_to_simulate`: more effort than that; `too_many_strata`), internal: a fault of the rules
  Result<Outcome> run(std::int64_t effort_max = INT64_MAX);
  /// What the policy is for this fleet: of a preset its stages and gates.
  [[nodiscard]] rollout::Policy const& policy() const { return rollout_.policy; }

private:
  enum class Act : std::uint8_t { none, poll, start, result, back };
  struct Device {
    std::int64_t place = 0;
    Surroundings around;
    std::int64_t act_at = 0, quiet_at = 0, sample_at = 0;  ///< ms since the start; what the heap says else is out of date
    std::int64_t since = 0;                 ///< service time of its last move
    std::int64_t again_at = -1;             ///< it failed and tries again: not before this service time
    float chance = 0;                       ///< to fail, whatever it runs
    std::uint16_t stratum = 0;
    std::int32_t window = 0, attempt = 0;
    std::uint8_t stage = 0, tries = 1;
    std::uint8_t state = 0, outcome = 0, kind = 0;  ///< indices of kStates and kKinds
    rollout::Arm arm = rollout::Arm::canary;
    Act act = Act::none;
    bool awaited = false, away = false;             ///< a canary that was not told yet; and it was out of reach when it wanted to poll
    bool holds = false;                             ///< a place of `limits.per`
    bool told = false, exposed = false, switched = false, dead = false, harmed = false, fails = false, runs_new = false;
  };
  struct Happening {
    std::int64_t at;
    std::uint32_t device;
    enum class Kind : std::uint8_t { act, quiet, sample } kind;
    bool operator>(Happening const& other) const { return at != other.at ? at > other.at : device > other.device; }
  };

  void make_devices(int devices);
  Result<void> refresh();
  void wake_members();
  void wake(std::uint32_t index, Act act, std::int64_t at);
  void await(Device& device, bool awaited, bool away);
  [[nodiscard]] bool is_due();
  void live_until(std::int64_t until);
  void act(std::uint32_t index);
  void poll(std::uint32_t index);
  void dispatch(std::uint32_t index, rollout::Desired const& desired);
  void set_out(std::uint32_t index, rollout::Desired const& desired);
  void start(std::uint32_t index);
  [[nodiscard]] bool may_harm(std::uint32_t index) const;
  void finish(std::uint32_t index);
  void look_if_quiet(std::uint32_t index);
  [[nodiscard]] std::uint32_t site_at(std::uint32_t index) const;
  [[nodiscard]] std::map<std::string, std::int64_t, std::less<>> beside(std::uint32_t index);
  void free_place(Device& device);
  void make_measures();
  void begin_samples(std::uint32_t index);
  void end_samples(std::uint32_t index);
  void sample(std::uint32_t index);
  void tally(std::uint32_t index, int devices);
  [[nodiscard]] rollout::Measured measured();
  void move(Device& device, std::string_view state, std::string_view kind, bool exposed, bool starts);
  void put(Device const& device, std::int64_t devices);
  void watch(std::uint32_t index, std::int64_t at);
  [[nodiscard]] registry::DeviceFacts const& facts_of(std::uint32_t index);
  [[nodiscard]] std::int64_t service(std::int64_t at) const;
  [[nodiscard]] rollout::CountKey key_of(Device const& device) const;
  void recount();
  Result<void> look();
  Result<void> apply(rollout::Verdict const& verdict);
  void note(rollout::Verdict const& verdict);
  void settle();
  [[nodiscard]] std::int64_t count_to_return() const;
  void bring_back_all();
  [[nodiscard]] Outcome sum_up();

  Scenario scenario_;
  Weather weather_;
  rollout::Rollout rollout_;
  std::shared_ptr<rollout::Ladder const> ladder_;
  rollout::ViewPtr view_;
  std::shared_ptr<rollout::Snapshot const> snapshot_;
  rollout::Look look_{};
  registry::DeviceFacts scratch_;
  rollout::DeviceRows rows_;
  std::vector<std::string> strata_;
  std::vector<std::vector<std::uint32_t>> by_place_;  ///< one a stratum: devices in the order of their places
  std::vector<Device> devices_;
  std::unordered_map<std::uint64_t, std::int64_t> counts_;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> events_;
  std::uint64_t seed_ = 0;
  std::int64_t now_ = 0, look_at_ = 0, silence_ms_ = 0, effort_ = 0;
  std::int64_t awaited_ = 0, away_ = 0;  ///< devices
  /// Of one value of the label in `limits.per`.
  struct SiteState {
    std::int64_t held = 0;                ///< places
    std::vector<std::uint32_t> waiting;   ///< devices that wait for one
  };
  std::unordered_map<std::uint32_t, SiteState> sites_;
  std::optional<Measures> measures_;
  std::vector<rollout::MetricTally> tallies_;  ///< one an absolute gate
  std::vector<std::vector<rollout::DeviceSamples>> samples_;  ///< one an absolute gate of the scenario's metric, by device
  std::vector<std::size_t> sampled_gates_;                    ///< which gates these are
  bool changed_ = false;
  Outcome outcome_;
};

}  // namespace fleet::simulation
