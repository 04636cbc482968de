#pragma once

#include "core/stats/absolute.hpp"
#include "server/rollout/policy/policy.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What windows came to, and what is kept of those that were judged. Pure.
namespace fleet::rollout {

/// Which side of the comparison a device is on.
enum class Arm : std::uint8_t {
  canary,    ///< it installs the release
  control,   ///< it proves what it runs; in a test that is the other release
  holdback,  ///< the same, of those held back
  against,   ///< of a test: it installs the other release
  standing,  ///< of a test: it ran the release before, and proves it
};
struct ArmRule {
  std::string_view name;
  std::size_t side;  ///< of the comparison: 0 the release's, 1 what stands beside it
  bool installs;     ///< else it proves what it runs
};
inline constexpr auto kArms = std::to_array<ArmRule>({{"canary", 0, true}, {"control", 1, false}, {"holdback", 1, false}, {"against", 1, true}, {"standing", 0, false}});
[[nodiscard]] constexpr ArmRule const& rule_of(Arm arm) { return kArms[static_cast<std::size_t>(arm)]; }
[[nodiscard]] constexpr std::string_view to_string(Arm arm) { return rule_of(arm).name; }
[[nodiscard]] constexpr std::size_t side_of(Arm arm) { return rule_of(arm).side; }
[[nodiscard]] constexpr bool installs(Arm arm) { return rule_of(arm).installs; }
/// Nothing that is not this program's own is read so: an unknown word is a canary.
[[nodiscard]] Arm parse_arm(std::string_view name);

/// What is special about a row, beside its state.
namespace row_kind {
inline constexpr std::string_view kPlain, kGolden = "golden",  ///< it failed its golden test
    kInstall = "install",                                            ///< network, disk, time: it never came to run the release
    kNoEvidence = "none",                                            ///< its outcome says nothing about the release
    kThere = "there";                                                ///< it ran the release before it was told
}  // namespace row_kind

/// Devices of one arm that started in a window: the golden test or the switch; a control, its proof.
struct Cell {
  std::int64_t started = 0;
  std::int64_t healthy = 0, failed = 0, golden = 0, silent = 0, left = 0;  ///< `failed` without those of the golden test
  std::int64_t undecided = 0;
  bool operator==(Cell const&) const = default;
};
/// Canaries and controls of one stratum; the holdback proves as control.
using Cells = std::array<Cell, 2>;
/// One window, by stratum.
using WindowCounts = std::map<std::string, Cells, std::less<>>;

/// Sums of log-likelihoods, one for each of `Folded::odds`.
using Sums = std::vector<double>;
/// What one stratum's windows say of failures, or of silence.
struct Compared {
  Sums first;  ///< windows that began within the first kFirstCanaries
  Sums all;
  Sums calm;  ///< without storms, those that left counted as failed: evidence to promote
  bool operator==(Compared const&) const = default;
};
enum class What : std::size_t { failures, silence };
inline constexpr std::array kWhats{What::failures, What::silence};

/// Harm is looked for at "not worse" among so many canaries; after them a release that only costs a little to install would be taken back.
inline constexpr std::int64_t kFirstCanaries = 1'200;
/// Beyond these shares of both arms together a window is a storm: no evidence to promote, and nothing for guardrails.
inline constexpr double kStormFailures = .15, kStormSilence = .2;
inline constexpr std::int64_t kStormDevices = 3;  ///< at least: two of ten happen by chance
/// "At most half as much again": what installing may cost over all canaries.
inline constexpr double kSlightlyWorse = 1.5;

/// What one device measured of one metric, in one number: the mean of its samples, or the quantile that the gate names.
struct DeviceValue {
  double now = 0;                    ///< since it switched, or began its proof
  std::optional<double> before = {};  ///< the same of its own period before, where there is one
};
/// One metric over a window's members of one stratum that sent any samples, in an order that outcomes do not change: that of their ids.
struct MeasuredArms {
  std::vector<DeviceValue> canary, control;
};
/// The same in bins: shares of a device's samples that add up to 1, one a bin, of the same bins in both arms.
struct BinnedArms {
  std::vector<std::vector<double>> canary, control;
};
/// What the members of a window that is to be judged measured; by stratum.
struct Measured {
  std::vector<std::map<std::string, MeasuredArms, std::less<>>> metrics;  ///< one a gate of Policy::metrics, in its order
  std::vector<std::map<std::string, BinnedArms, std::less<>>> drift;      ///< one a metric of DriftGate::metrics
};

/// Logs of wealth of one metric, over all windows, and what people can count.
struct Wealths {
  Sums logs;
  Sums level;                 ///< sum of canaries' values and their number, the same of controls: for people
  std::int64_t canaries = 0;  ///< that had controls of their own
  std::int64_t worse = 0;     ///< of these, worse than most of their controls
  std::int64_t seen = 0;      ///< sent any samples
  std::int64_t healthy = 0;   ///< of the same windows
  bool operator==(Wealths const&) const = default;
};

/// Both arms' outcomes.
struct Seen {
  stats::Tally canary, control;
  bool operator==(Seen const&) const = default;
};

/// What people can count themselves, of windows that were judged.
struct Tallies {
  std::int64_t canaries = 0, controls = 0;        ///< started and judged
  stats::Tally failed, silent, golden;            ///< canaries, in calm windows; golden: in all
  stats::Tally control_failed, control_silent;
  stats::Tally control_golden;                    ///< of a test: a control runs none
  std::array<Seen, 2> seen;                       ///< by What, in all windows, storms too
  std::int64_t left = 0, control_left = 0;
  bool operator==(Tallies const&) const = default;
};

/// All windows that were judged, in what gates need of them, but for strata that were left out. Its size does not depend on the fleet's.
struct Folded : Tallies {
  std::vector<double> odds;                                             ///< odds ratios at which sums are kept, ascending; of the policy
  std::vector<double> alternatives;                                     ///< of these, the ones that harm is looked for at
  std::map<std::string, std::array<Compared, 2>, std::less<>> strata;  ///< by What
  std::map<std::string, Tallies, std::less<>> by_stratum;               ///< parts of what is counted in all
  std::int64_t parts = 0;                                               ///< strata that were ever seen, those that were left out, too
  std::int64_t windows = 0, storms = 0;
  std::int64_t install_failed = 0;                                      ///< canaries that never came to run it, by when the windows were judged
  std::vector<Wealths> metrics, drift;                                  ///< one a metric, as the policy names them
  std::vector<Wealths> metrics_against;                                 ///< of a test: the same with the arms exchanged
  bool operator==(Folded const&) const = default;
};

/// Nothing judged yet.
[[nodiscard]] Folded fold_nothing(Policy const& policy);
/// Takes one window in. To be called once for each, when all its devices have an outcome. The order of windows does not matter but for what is "first".
void fold(Folded& folded, WindowCounts const& window);
/// A person accepted what is known: evidence begins anew.
void forget(Folded& folded);
/// A stratum is no part of the rollout any more: what it has shown is taken out of all.
void leave_out(Folded& folded, std::string_view stratum);
/// All but one stratum.
[[nodiscard]] Folded without(Folded folded, std::string_view stratum);

/// Evidence over strata: half of the product over all, half of the mean of each one's own.
/// @param sums  which of a stratum's sums
[[nodiscard]] stats::LogEvidence worse(Folded const& folded, What what, Sums Compared::*sums, double than);
[[nodiscard]] stats::LogEvidence better(Folded const& folded, What what, double than);
/// One stratum's own.
[[nodiscard]] stats::LogEvidence worse_in(Folded const& folded, std::string_view stratum, What what);

}  // namespace fleet::rollout
