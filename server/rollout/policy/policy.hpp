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

/// One stage, cumulative: either a share of the targeted or a count of devices.
struct StageSpec {
  std::optional<double> percent;  ///< (0, 100]
  std::optional<std::int64_t> devices;
  Millis bake{0};                ///< from the moment all reachable devices are decided
  std::int64_t min_devices = 0;  ///< decided ones, all stages together
  Millis deadline{0};            ///< from the stage's start; 0: none
};

/// A guardrail on the share of bad devices. A device is bad when the mean of its samples since its switch is outside [min, max];
/// for `agent.install_failure`, when its update failed.
struct AbsoluteGate {
  std::string metric;
  std::optional<double> min, max;
  std::int64_t samples = 1;  ///< fewer are no evidence
  double devices_max = .02;
};
inline constexpr std::string_view kInstallFailure = "agent.install_failure";

struct SilentGate {
  int after_reports = 3;
  double devices_max = .05;
};

enum class OnHarm { rollback, pause };
enum class OnDeadline { pause, rollback };

/// How a rollout goes, as people write it.
struct Policy {
  std::vector<StageSpec> stages;
  std::vector<AbsoluteGate> absolute;
  std::optional<SilentGate> silent;
  std::vector<double> certify;  ///< one share a stage, the last repeats; empty: promotion needs no evidence
  OnHarm on_harm = OnHarm::rollback;
  OnDeadline on_deadline = OnDeadline::pause;
  wire::Conditions device;
  std::int64_t in_flight = 0;  ///< most devices at work at one time; 0: no limit
  std::uint64_t egress = 0;    ///< bytes a second at which devices are told, by the size of their variants; 0: no limit
  double holdback = 0;         ///< [0, 1): share of the targeted that keeps its version until the rollout completes, then follows
  std::vector<std::string> strata{"hardware"};
  std::vector<wire::Window> windows;
  std::int64_t approvals_required = 0;
  int approvals_before_stage = 1;

  [[nodiscard]] int stage_count() const { return static_cast<int>(stages.size()); }
  [[nodiscard]] StageSpec const& stage(int index) const { return stages.at(static_cast<std::size_t>(index - 1)); }
  /// The share that stage `index` (from 1) must certify; nothing when evidence is not asked for.
  [[nodiscard]] std::optional<double> certify_at(int index) const;
};

/// A policy in JSON, or the JSON text of a preset's name. Unknown keys, and gates this server does not have, are refused by pointer.
/// @param pointer  where the policy stands in the body, for the errors
/// @errors bad_input (code `bad_policy`)
[[nodiscard]] Result<Policy> decode_policy(std::string_view json, std::string const& pointer = "");
/// The same of a policy that somebody writes now. What only a device reads, and would wait on for ever, is checked here: time zones, by this
/// machine's database. @errors as decode_policy
[[nodiscard]] Result<Policy> take_policy(Fs& fs, std::string_view json, std::string const& pointer = "");
/// The canonical form: every key that matters, durations and shares in their shortest texts. `decode_policy` reads it back to the same.
[[nodiscard]] std::string encode(Policy const& policy);
/// cautious, standard, fast, small-fleet. @errors bad_input
[[nodiscard]] Result<Policy> preset(std::string_view name, std::string const& pointer = "");
[[nodiscard]] std::string_view to_string(OnHarm action);
[[nodiscard]] std::string_view to_string(OnDeadline action);
/// `12.5 %`, for people.
[[nodiscard]] std::string needed_text(std::optional<std::int64_t> devices);  ///< of stats::harm_needs and certify_needs: `34`, or `more than 100000000`
[[nodiscard]] std::string percent_text(double share);

}  // namespace fleet::rollout
