#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::rollout {

/// Either a share of the targeted devices or a number of them.
struct Amount {
  std::optional<double> percent;  ///< (0, 100]
  std::optional<std::int64_t> devices;
  bool operator==(Amount const&) const = default;
};

/// One stage, cumulative. It is a row of windows: groups that are told at one time and judged once.
struct StageSpec {
  Amount size;                   ///< told before the stage may pass
  Millis bake{0};                ///< from the moment all reachable devices are decided
  std::int64_t min_devices = 0;  ///< decided ones, all stages together
  Millis deadline{0};            ///< of service time, from the stage's start; 0: none
  std::int64_t window = 0;       ///< devices a window; 0: the whole stage is one
  Millis every{0};               ///< from window to window at least; 0: the next opens when the one before was judged
  double grow = 1;               ///< each window so many times the one before it, within the stage
  Amount cap = {};               ///< while there is neither harm nor evidence to pass, windows go on to here; nothing: to `size`
  [[nodiscard]] bool is_whole() const { return size.percent == 100.; }
  bool operator==(StageSpec const&) const = default;
};

/// Activation, probation and health, canaries beside controls.
struct FailuresGate {
  std::vector<double> max_odds_ratio;  ///< one a stage, the last repeats; empty: no evidence of it is asked for
  double harm_alpha = .004;            ///< three quarters of it against "not worse", the rest against "at most half as much again"
  std::vector<double> alternatives{1.5, 2, 3, 5, 8, 13, 20, 50, 200};
  bool operator==(FailuresGate const&) const = default;
};

/// A guardrail on the share of bad devices. A device is bad when its own confidence sequence shows that its mean since the switch is outside
/// [min, max]; for `agent.install_failure`, when its update failed.
struct AbsoluteGate {
  std::string metric;
  std::optional<double> min, max;
  double devices_max = .02;
  Millis block = std::chrono::hours{1};  ///< one observation is the mean of a block: samples that lie closer are not independent
  std::int64_t blocks = 12;              ///< a device that sent fewer is no evidence to pass
  std::int64_t samples = 120;            ///< nor one that sent fewer
  std::optional<double> alpha = {};      ///< of the guardrail; nothing: see alpha_of
  bool operator==(AbsoluteGate const&) const = default;
};
inline constexpr std::string_view kInstallFailure = "agent.install_failure";

struct SilentGate {
  int after_reports = 3;
  double devices_max = .05;  ///< where there is no control
  double harm_alpha = .003;  ///< two thirds of it against "not worse", the rest against "at most half as much again"
  bool operator==(SilentGate const&) const = default;
};

/// A metric of the canaries beside that of matched controls.
struct MetricGate {
  std::string name;
  std::optional<double> quantile;  ///< of the device's samples; nothing: their mean
  bool higher_is_worse = true;
  double margin = 0;               ///< share of the control's value that does not matter
  bool operator==(MetricGate const&) const = default;
};

struct DriftGate {
  std::vector<std::string> metrics;
  bool rolls_back = false;  ///< else it pauses
  bool operator==(DriftGate const&) const = default;
};

/// How many devices of one value of a label may be between switch and commit.
struct PlaceLimit {
  std::string label;
  std::int64_t at_once = 1;
  bool operator==(PlaceLimit const&) const = default;
};

/// A device whose update failed tries again by itself, once the stage that it failed in has passed.
struct RetryRule {
  std::int64_t attempts = 3;                   ///< in all
  Millis backoff = std::chrono::hours{1};      ///< of service time, from a failure to the next attempt; twice as long after each
  Millis backoff_max = std::chrono::hours{24};
  /// From the end of its attempt number `tries` on; nothing: that was the last.
  [[nodiscard]] std::optional<Millis> pause_after(std::int64_t tries) const;
  bool operator==(RetryRule const&) const = default;
};

/// Two releases on random arms, in place of stages. Its windows, bake and deadline are those of the policy's only stage, whose size is the arm of the
/// rollout's release; its bake is counted from each window's opening.
struct AbTest {
  static constexpr Millis kEvery = std::chrono::hours{1}, kDeadline = std::chrono::hours{24 * 14}, kBake = std::chrono::hours{24};
  static constexpr double kGrow = 2;
  std::string against;  ///< model@version
  double share = .5;    ///< of the devices that get the rollout's release
  [[nodiscard]] std::string version() const { return against.substr(against.find('@') + 1); }
  [[nodiscard]] std::string model() const { return against.substr(0, against.find('@')); }
  bool operator==(AbTest const&) const = default;
};

/// No new device starts between these times.
struct Freeze {
  SysTime from{}, to{};
  bool operator==(Freeze const&) const = default;
};

enum class OnHarm { rollback, pause };
enum class OnDeadline { pause, rollback };

/// How a rollout goes, as people write it.
struct Policy {
  std::string preset = {};  ///< its stages and gates come from the fleet, once that is known (presets.hpp); empty: they are here
  std::vector<StageSpec> stages;  ///< of a test (`ab`): one, the arm of the release
  std::optional<FailuresGate> failures;
  std::optional<SilentGate> silent;
  std::vector<AbsoluteGate> absolute;
  std::vector<MetricGate> metrics;
  std::optional<DriftGate> drift;
  std::vector<double> certify;     ///< one share a stage, the last repeats; empty: promotion needs no evidence of it
  double certify_evidence = 20;    ///< the e-value that evidence to promote must reach
  std::int64_t controls = 9;       ///< a canary at most, where a gate compares
  OnHarm on_harm = OnHarm::rollback;
  OnDeadline on_deadline = OnDeadline::pause;
  wire::Conditions device;
  std::int64_t in_flight = 0;  ///< most devices at work at one time; 0: no limit
  std::uint64_t egress = 0;    ///< bytes a second at which devices are told, by the size of their variants; 0: no limit
  std::optional<PlaceLimit> per_place;
  std::optional<RetryRule> retry;
  double holdback = 0;  ///< [0, 1): share of the targeted that keeps its version until the rollout completes, then follows
  std::vector<std::string> strata{"hardware"};
  std::vector<wire::Window> windows;
  std::vector<Freeze> freeze;
  std::optional<SysTime> start_at;
  std::int64_t approvals_required = 0;
  int approvals_before_stage = 1;
  std::int64_t priority = 0;  ///< the higher goes first where two rollouts of a model meet
  std::optional<AbTest> ab;
  bool emergency = false;  ///< skips bake and evidence, never signatures; needs a reason

  [[nodiscard]] int stage_count() const { return static_cast<int>(stages.size()); }
  [[nodiscard]] StageSpec const& stage(int index) const { return stages.at(static_cast<std::size_t>(index - 1)); }
  /// The share that stage `index` (from 1) must certify; nothing when evidence is not asked for.
  [[nodiscard]] std::optional<double> certify_at(int index) const;
  /// The odds ratio that stage `index` must stay below; nothing when evidence is not asked for.
  [[nodiscard]] std::optional<double> odds_ratio_at(int index) const;
  /// The end of the freeze that `now` is in, be it one of several that overlap.
  [[nodiscard]] std::optional<SysTime> frozen_until(SysTime now) const;
  /// Does a gate judge what devices measure?
  [[nodiscard]] bool reads_samples() const;
  /// Does one compare this metric's values over canaries and controls?
  [[nodiscard]] bool compares_metric(std::string_view name) const;
  /// Does a gate look at canaries beside controls? A guardrail on a metric does: what controls are outside of, too, is not the release's doing.
  [[nodiscard]] bool compares() const { return (controls > 0 || ab) && (failures || silent || reads_samples()); }
  bool operator==(Policy const&) const = default;
};

/// What harm gates may err together, a rollout, and what each takes of it unless the policy says otherwise.
namespace alpha {
inline constexpr double kTotal = .01, kAbsolute = .001, kMetrics = .001, kDrift = .001;
}
/// Of what a gate may err, so much is for each question that it asks: a test asks whether either release is worse than the other.
[[nodiscard]] inline double part_of_alpha(Policy const& policy) { return policy.ab ? .5 : 1; }
/// What an absolute gate may err: its own `alpha`, or its part of alpha::kAbsolute, which those that name none share evenly.
[[nodiscard]] double alpha_of(Policy const& policy, AbsoluteGate const& gate);
/// What the harm gates that a policy names may err together; at most alpha::kTotal in one that was decoded.
[[nodiscard]] double harm_budget(Policy const& policy);

/// A policy in JSON, or the JSON text of a preset's name (then nothing but `preset` is set). Unknown keys are refused by pointer, all faults in one error.
/// @param pointer  where the policy stands in the body, for the errors
/// @errors bad_input (code `bad_policy`)
[[nodiscard]] Result<Policy> decode_policy(std::string_view json, std::string const& pointer = "");
/// The same of a policy that somebody writes now. What only a device reads, and would wait on for ever, is checked here: time zones, by this
/// machine's database. @errors as decode_policy
[[nodiscard]] Result<Policy> take_policy(Fs& fs, std::string_view json, std::string const& pointer = "");
/// The canonical form: every key that matters, durations and shares in their shortest texts. `decode_policy` reads it back to the same, to the bit.
[[nodiscard]] std::string encode(Policy const& policy);
[[nodiscard]] std::string_view to_string(OnHarm action);
[[nodiscard]] std::string_view to_string(OnDeadline action);
/// `12.5 %`, for people.
[[nodiscard]] std::string needed_text(std::optional<std::int64_t> devices);  ///< of stats::harm_needs and certify_needs: `34`, or `more than 100000000`
[[nodiscard]] std::string percent_text(double share);

}  // namespace fleet::rollout
