#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fleet::simulation {

/// How a device fares that the release harms.
enum class HarmKind {
  fails,   ///< its attempt fails
  silent,  ///< it switches and is never heard of again
  metric,  ///< it commits, and `metric.shift` shows in what it measures
};

/// Samples that devices send of one metric.
struct MetricModel {
  std::string name;
  double mean = 0;
  double between = 0;           ///< standard deviation of devices' own means
  double shift = 0;             ///< what the release adds to them, in the metric's unit
  double within = 0;            ///< standard deviation of one sample; 0 of a mean in (0, 1): that of a yes or no
  double samples_per_hour = 60;
};

/// What a fleet and a release are like. Shares are of devices, in [0, 1].
struct Scenario {
  HarmKind kind = HarmKind::fails;
  double base = .01;          ///< chance that a device fails in one attempt, from dispatch to the end of probation, whatever it runs
  double harm = 0;            ///< kind fails: that chance, in all, with the release; silent: the chance that it bricks; metric: every device is shifted
  std::optional<double> against;  ///< that chance with the other release of a test; nothing: `base`
  double offline = .1;        ///< out of reach at any time
  double offline_hours = 12;  ///< mean length of one absence
  double noise_spread = 0;    ///< standard deviation of the logarithm of devices' own chances to fail
  int sites = 50;
  int hardware = 1;
  int harm_hardware = 0;      ///< the release harms the first so many kinds of hardware alone; 0: all
  double shock_share = 0;     ///< of the sites, that lose their network at one time, once within the first day
  double shock_hours = 1;
  std::optional<double> drift_to;  ///< what `base` moves to, within two days
  std::optional<MetricModel> metric;
  Millis server_outage{0};    ///< nobody reaches the server, once within the first day
  Millis clock_step{0};       ///< the server's wall clock jumps, once within the first day
  Millis poll = std::chrono::minutes{15};
  bool long_poll = false;
  double day_night = 0;       ///< of the devices, that are switched off for eight hours of their site's night
  Millis probation = std::chrono::minutes{5};
  std::int64_t bytes = 10 * 1024 * 1024;  ///< of the release, for `limits.egress`

  /// Does the release do what should be taken back?
  [[nodiscard]] bool harmful() const;
};

/// A scenario in JSON: `{"base":0.01,"harm":0.05,"kind":"fails","offline":0.1,"site_shock":{"share":0.25,"hours":1},...}` (docs/statistics.md).
/// @param pointer  where it stands in the body, for the errors
/// @param from     what holds for keys that it leaves out
/// @errors bad_input: every fault by its pointer, unknown keys too
[[nodiscard]] Result<Scenario> decode_scenario(std::string_view json, std::string const& pointer = "", Scenario const& from = {});

}  // namespace fleet::simulation
