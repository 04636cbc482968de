#pragma once

#include "core/wire/device.hpp"
#include "server/registry/limits.hpp"
#include "server/store/store.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::telemetry {

/// A device has so many metrics of which its last value is kept; what is beyond is counted.
inline constexpr std::size_t kLatestMax = 64;
/// A device's clock is taken for right within so much.
inline constexpr Millis kClockRight = std::chrono::minutes{5};

/// One metric of one device, as it was told last.
struct LatestValue {
  std::string metric, model, version;
  std::string kind;             ///< c, g, s, ms, h, d; empty: no sample ever came
  std::optional<double> value;  ///< of a counter its sum in that interval, of a gauge or a set the last one, else the mean; the last that counted, if any did
  std::int64_t count = 0;       ///< samples of the last interval; 0: none counts
  SysTime at{};                 ///< that interval's end
  std::string flag;             ///< why the device's samples count for nothing (wire::kFlagNames), which most of them did; empty: they count
  SysTime since{};              ///< it is so
  std::string told_flag = {};   ///< as people were told
  SysTime told{};
};
/// What one device measured last: one row, read and written once a report.
struct Latest {
  std::vector<LatestValue> values;  ///< by model and metric
  std::int64_t other = 0;           ///< metrics of the last report that had no place
  SysTime at{};                     ///< it told last
  Millis skew{0};                   ///< its clock is ahead; 0: it is right
  bool told_off = false;            ///< people were told that it is off
  SysTime told{};                   ///< and when

  /// Takes what an interval came to; one that ended before what is there is left out.
  /// @param version  of the release that the samples are of
  void take(wire::MetricsItem const& item, std::string const& version, SysTime now);
};
/// Nothing is there before a device's first report.
[[nodiscard]] Result<Latest> load_latest(db::Connection& reader, std::int64_t device_n);
[[nodiscard]] Result<void> save_latest(store::Tx& tx, std::int64_t device_n, Latest const& latest);

/// What people are told: that samples of a device count for nothing any more, or count again.
struct Change {
  std::string_view type;  ///< of the event
  std::string data;       ///< JSON
};
/// At once, and of one metric of one device at most once an hour: what flaps tells its last state.
[[nodiscard]] std::vector<Change> take_changes(Latest& latest, SysTime now);

/// How far a device's clock is off, by what it said when it sent its report; 0: it is right.
[[nodiscard]] Millis skew_of(SysTime clock, SysTime now);
/// Whether the times of an interval are those of a clock that is off: it lies ahead.
[[nodiscard]] bool is_ahead(wire::MetricsItem const& item, SysTime now);
/// All its samples flagged, as of now: nobody knows when they were taken.
[[nodiscard]] wire::MetricsItem without_time(wire::MetricsItem item, SysTime now);

/// As the API lists them, in order, those of models within `limits`: `{"metric","model","version","type","unit","value","count","at","flag","since"}`.
/// How many had no place stands as the metric `other`.
[[nodiscard]] Result<std::vector<std::string>> list_latest(db::Connection& reader, Latest const& latest, registry::Limits const& limits);
/// What is wrong with a device's samples, for the object `device`: `[{"metric","model","flag","since"}]`.
[[nodiscard]] std::string flags_json(Latest const& latest, registry::Limits const& limits);
/// Devices that have samples flagged, by why, in the order of wire::kFlagNames.
[[nodiscard]] Result<std::array<std::int64_t, wire::kFlagNames.size()>> count_flagged(db::Connection& reader);

}  // namespace fleet::telemetry
