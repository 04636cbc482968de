#pragma once

#include "server/rollout/gates/evidence.hpp"
#include "server/rollout/policy/states.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Gates: what is known in, what it says about the release out. Pure. Each is a file; `kGates` (table.cpp) lists them.
namespace fleet::rollout {

inline constexpr double kAlphaAbsolute = .001;
inline constexpr double kAlphaMetrics = .001;
inline constexpr double kAlphaDrift = .001;
/// What all gates of a policy may spend together.
inline constexpr double kAlphaRollout = .01;
/// Share of the healthy devices whose samples a metric's gate must have seen before it lets a stage pass.
inline constexpr double kCoverage = .9;
/// A golden test that fails says so alone: nothing of the surroundings makes it.
inline constexpr double kGoldenShare = .05;

/// Ages, as shares of an absolute gate's `blocks`, at which canaries and controls are compared: a device that has sent more is called bad sooner, and
/// controls that become canaries begin anew, so that arms of any age would not be alike.
inline constexpr std::array kAges{.25, .5, 1.};
/// Devices judged by one absolute gate of a metric (engine/samples.hpp counts them).
struct MetricTally {
  std::int64_t bad = 0, control_bad = 0;    ///< their own sequences have shown it
  std::int64_t seen = 0, control_seen = 0;  ///< have sent samples that count at all
  std::int64_t covered = 0;                 ///< healthy canaries with enough of them
  struct Arms {
    stats::Tally canary, control;
  };
  std::array<Arms, kAges.size()> aged{};    ///< those that have sent so many blocks, and of these the ones that were bad by then
  std::int64_t heard = 0, control_heard = 0;      ///< have sent any, or flagged ones
  std::int64_t flagged = 0, control_flagged = 0;  ///< of these, at least as many are flagged as count
};

/// What is known of a rollout at one moment, beside its judged windows. Counts are of canaries where nothing else is said.
struct Facts {
  WindowCounts window;                 ///< the open window
  std::vector<MetricTally> metrics;    ///< one a gate of Policy::absolute, in its order
  Measured measured;                   ///< of the open window's members; read where closes_window (step.hpp) says that it is to be judged
  std::int64_t told = 0;               ///< all that were, whatever became of them
  std::int64_t left = 0;               ///< beside them: were told, and were taken out by people before they had an outcome
  std::int64_t there = 0;              ///< of those told, ran the release before and run it still: no evidence, and nothing at risk
  std::int64_t healthy = 0, failed = 0, silent = 0;
  std::int64_t recovered = 0;          ///< of `failed`, run it since a later attempt
  std::int64_t install_failed = 0;     ///< by the network or the disk, before they ran it
  std::int64_t beside_told = 0;        ///< of a test: told the other release, and not waiting
  std::int64_t beside_install_failed = 0;
  std::int64_t decided = 0;            ///< healthy, failed or silent, as evidence
  std::int64_t preparing = 0;          ///< told, and on the way to start: neither waiting nor started
  std::int64_t waiting = 0;            ///< for a window, a charger, an app
  std::int64_t undecided = 0;          ///< preparing, or started
  std::int64_t at_work = 0;            ///< undecided, controls too
  std::int64_t parked = 0;             ///< of `at_work`, wait and have not started: out of reach, or for a window, a charger, an app
  std::int64_t exposed = 0;
  std::int64_t to_revert = 0;          ///< exposed, reachable, not reverted (while rolling back)
  std::int64_t undispatched = 0;       ///< members that are reachable and were not told yet
  std::string waits_at = {};           ///< where one of these waits for a place of `limits.per`: "site=a"
  std::int64_t offline = 0;            ///< members that are not reachable
  std::int64_t blocked = 0;            ///< members that another rollout holds
  std::int64_t blocked_beside = 0;     ///< of these, by one of another model: a set that has this one as a member, or a rollout of a member of this set
  std::int64_t later = 0;              ///< canaries that started after the open window was shut
  Millis samples_due{0};               ///< devices report what they measured so often at the latest, where a gate asks for it
  // For people: what failed, and who is waited for.
  std::map<std::string, std::int64_t> failures;  ///< failed devices by the code of their error
  std::vector<std::string> busy;                 ///< a few of the undecided: "cam-1 (probation)"
  std::set<std::string> blocked_by;              ///< ids of the rollouts that hold members
};

enum class Ruling { hold, promote, pause, rollback };
[[nodiscard]] std::string_view to_string(Ruling decision);

/// What one gate says, in words and in numbers.
struct GateVerdict {
  std::string name;       ///< failures, silent, golden, certify, min_devices, sanity, or the metric
  std::string_view test;  ///< harm | safe | win: the other release of a test is the worse one
  Ruling decision = Ruling::hold;
  double e_value = 1;
  double threshold = 0;
  std::vector<std::pair<std::string, double>> evidence;  ///< the first is the count of bad devices, where the test is harm
  std::string text;                                      ///< for people who know no statistics
};

/// A harm verdict that stands whatever comes later; a person who resumes accepts the bad devices known by then.
struct Latch {
  std::int64_t bad = 0;  ///< at the time it tripped
  double e_value = 0;
  bool accepted = false;
  bool operator==(Latch const&) const = default;
};
using Latches = std::map<std::string, Latch>;

/// What the two arms are called.
struct ArmWords {
  std::string one = "canary", many = "canaries", beside = "controls", release = "the release";
};

/// What gates look at.
struct Case {
  Policy const& policy;
  int stage;
  bool full;  ///< promote --full: bake and evidence are skipped
  Latches const& latches;
  Folded const& folded;
  Facts const& facts;
  std::int64_t reach = 0;                                               ///< devices of the whole fleet, without the holdback; 0: not known
  std::map<std::string, std::int64_t, std::less<>> const* sizes = nullptr;  ///< devices by stratum, of those that are still part of the rollout
  std::string_view release = {};  ///< model@version, for people
  ArmWords words = {};
  double planned = 0;  ///< of a test: the share of all its devices that is to get the rollout's release; 0: arms are not of sizes that were planned
};

struct Gate {
  std::string_view name;
  bool (*asked)(Policy const& policy);
  void (*judge)(Case const& c, std::vector<GateVerdict>& out);
  /// What it can tell from so many canaries beside so many controls, in one sentence; empty: nothing worth saying.
  std::string (*plan)(Policy const& policy, std::int64_t canaries, std::int64_t controls);
};
[[nodiscard]] std::span<Gate const> gates();

/// What all gates say, in the table's order; in a test the same of the other release after them.
[[nodiscard]] std::vector<GateVerdict> judge_all(Case const& c);
[[nodiscard]] bool without_gates(Policy const& policy);
/// Every member runs the release already, since a rollout that was aborted, say: there is nothing to learn and nobody to harm.
[[nodiscard]] bool nothing_at_risk(Facts const& facts);

// Pieces that gates share.
[[nodiscard]] std::string devices_text(std::int64_t count);
/// ": golden_mismatch", or ": 6 golden_mismatch, 2 network": the three that are told most; nothing where none says why.
[[nodiscard]] std::string codes_text(Facts const& facts);
/// What is bad, in words.
struct BadWords {
  std::string_view present, past;  ///< fail, failed
};
[[nodiscard]] std::string canaries_text(Case const& c, std::int64_t count);
/// `1 canary`, `40 canaries`.
[[nodiscard]] std::string canaries_text(std::int64_t count);
/// Why windows say nothing: none was judged yet, or all were storms. Empty: some do.
[[nodiscard]] std::string no_evidence_text(Folded const& folded);
/// Where a share of bad devices stands to its bound, in words.
[[nodiscard]] std::string bound_text(GateVerdict const& verdict, stats::Tally tally, double devices_max);
/// A harm gate's verdict from its evidence: latched until a person accepts it, and then only by more bad ones.
struct Found {
  std::string name;
  stats::LogEvidence evidence;
  double alpha;
  std::int64_t bad;
  std::string text;
};
[[nodiscard]] GateVerdict harm_verdict(Case const& c, Found const& found);
/// Evidence to promote.
[[nodiscard]] GateVerdict safe_verdict(std::string name, stats::LogEvidence evidence, double bound, std::string text);
/// That stage's demands on one comparison: an odds ratio or a certified share, whichever is shown first. Nothing where the stage asks for neither.
[[nodiscard]] std::optional<GateVerdict> safe_compared(Case const& c, std::string name, What what, stats::Tally calm, BadWords const& words);

}  // namespace fleet::rollout
