#pragma once

#include "core/base/time.hpp"
#include "core/stats/absolute.hpp"
#include "server/rollout/policy/policy.hpp"
#include "server/rollout/policy/states.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Facts and a time in, a verdict out. Pure: no clock, no database.
namespace fleet::rollout {

inline constexpr double kAlphaAbsolute = .001;
inline constexpr double kAlphaSilent = .003;
/// Share of the healthy devices whose samples a metric's gate must have seen before it lets a stage pass.
inline constexpr double kCoverage = .9;

/// A metric of one device since its switch.
struct Samples {
  std::int64_t count = 0;
  double sum = 0;
};

/// What is known of one dispatched device.
struct DeviceEvidence {
  std::string_view state;  ///< device_state::*
  bool exposed = false;
  bool eligible = false;  ///< online at dispatch, and nothing since that makes it no evidence
  SysTime dispatched_at{};
  std::vector<Samples> samples;  ///< one a gate of Policy::absolute, in its order
  bool was_there = false;        ///< ran the release before it was told
  std::string error = {};        ///< code of its failure
};

/// Counts that gates look at; one process over all stages.
struct Facts {
  std::vector<stats::Tally> absolute;   ///< one a gate, in the policy's order
  std::vector<std::int64_t> uncovered;  ///< healthy devices that a gate has too few samples of
  stats::Tally silent;
  stats::Tally certify;  ///< bad: failed, silent or bad by any absolute gate; only devices that all gates have judged
  std::int64_t healthy = 0;
  std::int64_t decided = 0;    ///< healthy, failed or silent
  std::int64_t told = 0;       ///< all that were, whatever became of them
  std::int64_t there = 0;      ///< of these, ran the release before and run it still: no evidence, and nothing at risk
  std::int64_t undecided = 0;  ///< dispatched, at work, and waited for
  std::int64_t at_work = 0;    ///< undecided, waited for or not
  std::int64_t exposed = 0;
  std::int64_t to_revert = 0;     ///< exposed, reachable, not reverted (while rolling back)
  std::int64_t undispatched = 0;  ///< members of the stage that are reachable and were not told yet
  std::int64_t offline = 0;       ///< members that are not reachable
  std::int64_t blocked = 0;       ///< members that another rollout holds
  // For people: what failed, and who is waited for.
  std::map<std::string, std::int64_t> failures;  ///< failed devices by the code of their error
  std::vector<std::string> busy;                 ///< a few of the undecided: "cam-1 (probation)"
  std::set<std::string> blocked_by;              ///< ids of the rollouts that hold members
};

/// Folds devices into facts. A device under way counts as one that has not failed and is not silent: failures are told sooner than success,
/// so that among the devices decided first the bad ones are too many. One that waits (window, battery) has not set out, and does not count.
class Fold {
public:
  /// @param bake_since  devices dispatched later are judged but not waited for, so that stragglers cannot hold a stage for ever
  Fold(Policy const& policy, std::optional<SysTime> bake_since);
  void add(DeviceEvidence const& device);
  Facts facts;

private:
  Policy const& policy_;
  std::optional<SysTime> bake_since_;
};

enum class Ruling { hold, promote, pause, rollback };
[[nodiscard]] std::string_view to_string(Ruling decision);

/// What one gate says, in numbers and words.
struct GateVerdict {
  std::string name;       ///< silent, certify, min_devices, or the metric
  std::string_view test;  ///< harm | safe
  Ruling decision = Ruling::hold;
  double e_value = 1;
  double threshold = 0;
  std::vector<std::pair<std::string, double>> evidence;
  std::string text;
};

/// A harm verdict that stands whatever comes later; a person who resumes accepts the bad devices known by then.
struct Latch {
  std::int64_t bad = 0;  ///< at the time it tripped
  double e_value = 0;
  bool accepted = false;
  bool operator==(Latch const&) const = default;
};
using Latches = std::map<std::string, Latch>;

/// Where the rollout stands.
struct Standing {
  State state = State::running;
  int stage = 1;
  bool full = false;  ///< promote --full: bake and evidence are skipped
  std::optional<SysTime> bake_since;
  std::optional<SysTime> deadline;
  Latches latches;
  std::int64_t approvals = 0;  ///< for the next stage, where the policy asks for them
  bool release_revoked = false;
  bool restored = false;    ///< a backup brought it back, and nobody has resumed it: nothing is taken back
  std::string cause;        ///< why it is paused or rolling back
  bool begun = true;        ///< false: it waits for the rollout that it comes after
  std::string predecessor;  ///< that one, in words, until it completed: "r_1, which is running"
  bool predecessor_ended = false;
};

struct Verdict {
  Ruling decision = Ruling::hold;
  std::string reason;          ///< what lists, `get`, `watch` and `wait` show: at an end its cause, not its last step
  std::string step = {};       ///< what just happened, for the history, where that is something else
  std::vector<GateVerdict> gates;
  std::optional<Event> event;  ///< what the state machine is to be told
  bool begin = false;          ///< the rollout before it completed: its first stage begins now
  bool start_bake = false;     ///< all reachable devices are decided: baking begins now
  Latches latches;
};

/// Judges one rollout in state running, awaiting_approval, paused or rolling_back.
[[nodiscard]] Verdict judge(Policy const& policy, Standing const& standing, Facts const& facts, SysTime now);

}  // namespace fleet::rollout
