#pragma once

#include "agent/telemetry/quality.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::agent {

/// Takes what apps send by StatsD, folds it per model, release and metric for the next report, and answers health checks from a sliding
/// window. Counters sum, gauges keep their last value and know changes of it, sets count what is distinct, timers and distributions become sketches.
/// Thread-safe; bounded memory whatever arrives: what is over, or is sent as another type than before, is counted as the metric `other`.
class Collector {
public:
  explicit Collector(Clock& clock, OwnerRules owner = {});
  ~Collector();

  /// Where a datagram came from. What anybody can send is told, and is no evidence for a release.
  enum class Source { known, anybody };
  /// One datagram: lines of plain or DogStatsD StatsD. Malformed lines are counted, never fatal. Names under `agent.` are not taken.
  void take(std::string_view datagram, Source source = Source::known);
  /// What the agent itself measured of a release; `metric` begins with `agent.`. A gauge.
  void tell(std::string const& model, std::string const& digest, std::string const& metric, double value);
  /// Which release of which model runs (empty: none): fills `model` of samples that only name the release, and the other way round not.
  /// @returns whether another one ran, or none: nobody said yet what its metrics are
  bool running(std::string const& model, std::string const& digest);
  /// What a release says of its metrics. Samples that are otherwise are flagged: counted beside the others, and asked for by no health check.
  void declare(std::string const& digest, MetricRules rules);
  /// What came since the last drain and may leave the device, one item a (model, release); empty when nothing came. A metric of what runs that was
  /// silent for longer than it should be is told as missing.
  std::vector<wire::MetricsItem> drain();
  /// Whether any sample came since the last drain.
  [[nodiscard]] bool has_samples() const;
  /// What people should know: a metric whose types disagree; told once.
  std::vector<wire::NoteItem> notes();

  /// What a health check asks about.
  struct Watched {
    std::string metric;
    Millis window{60'000};
    auto operator<=>(Watched const&) const = default;
  };
  /// From now on these are kept for `stat`, however much else arrives; in place of what was watched of that release before.
  void watch(std::string const& digest, std::vector<Watched> const& watched);
  /// A statistic over the last `window` of a metric that is watched (mean, min, max, sum, rate a second, p50, p95, p99), or nothing with fewer than
  /// `samples`. A counter has as many samples as it counts: who adds up before sending has them, too.
  [[nodiscard]] std::optional<double> stat(std::string const& digest, Watched const& watched, std::string_view stat, std::int64_t samples) const;
  /// Sum of the counter `inferences` of a release since `since`.
  [[nodiscard]] std::int64_t inferences(std::string_view digest, MonoTime since) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fleet::agent
