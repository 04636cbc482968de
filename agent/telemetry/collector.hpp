#pragma once

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
/// window. Thread-safe; bounded memory whatever arrives (names, releases, window samples; what is over is counted as dropped).
class Collector {
public:
  explicit Collector(Clock& clock);
  ~Collector();

  /// One datagram: lines of plain or DogStatsD StatsD. Malformed lines are counted, never fatal. Names under `agent.` are not taken.
  void take(std::string_view datagram);
  /// Which release of which model runs: fills `model` of samples that only name the release, and the other way round not.
  void running(std::string const& model, std::string const& digest);
  /// What came since the last drain, one item a (model, release); empty when nothing came.
  std::vector<wire::MetricsItem> drain();

  /// Sum of the counter `inferences` of a release since `since`.
  [[nodiscard]] std::int64_t inferences(std::string_view digest, MonoTime since) const;
  /// A statistic over the last `window` (mean, min, max, sum, rate a second, p50, p95, p99), or nothing with fewer than `samples`.
  [[nodiscard]] std::optional<double> stat(std::string_view digest, std::string_view metric, std::string_view stat, Millis window, std::int64_t samples) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fleet::agent
