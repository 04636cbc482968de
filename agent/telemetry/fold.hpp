#pragma once

#include "agent/telemetry/statsd.hpp"
#include "core/base/time.hpp"
#include "core/stats/sketch.hpp"
#include "core/wire/device.hpp"

#include <deque>
#include <set>

namespace fleet::agent {

/// What samples of one metric and time add up to, by the meaning of their type.
struct Fold {
  double count = 0;  ///< weighed by sample rates; 1 of a gauge and a set
  double sum = 0, min = 0, max = 0;
  stats::Sketch sketch;
  std::set<std::uint64_t> members;  ///< of a set: at most kMembersMax, more are not told apart
  static constexpr std::size_t kMembersMax = 2'048;

  /// @param gauge  what the gauge was, and becomes
  /// @returns false: the sample would leave what can be told
  bool add(Sample const& sample, double& gauge);
  void merge(Fold const& other);
  [[nodiscard]] wire::MetricsItem::Metric told(std::string const& name, std::string const& kind) const;
};

/// The last samples of a metric, in slices of time that are added up: exact in number and sum at any rate, a 64th of the window in time.
class Window {
public:
  explicit Window(Millis length);
  void add(Sample const& sample, double gauge, MonoTime now);
  /// mean, min, max, sum, rate a second, p50, p95, p99; nothing with fewer than `samples`.
  [[nodiscard]] std::optional<double> stat(std::string_view stat, std::int64_t samples, MonoTime now) const;

private:
  struct Slice {
    MonoTime from{};
    Fold fold;
  };
  Millis length_, slice_;
  bool is_counter_ = false;
  std::deque<Slice> slices_;
};

/// The running count of inferences of a release, marked in time, so that any count since a time can be told however many came.
class Inferences {
public:
  void add(MonoTime at, double many);
  [[nodiscard]] std::int64_t since(MonoTime from) const;

private:
  double total_ = 0;
  std::deque<std::pair<MonoTime, double>> marks_;  ///< start of a span, total at its end
};

}  // namespace fleet::agent
