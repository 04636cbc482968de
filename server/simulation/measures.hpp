#pragma once

#include "server/rollout/engine/samples.hpp"
#include "server/rollout/gates/evidence.hpp"
#include "server/simulation/scenario.hpp"

#include <cstdint>
#include <optional>

/// What virtual devices measure. Each device has a mean of its own, which wanders a little from period to period; samples scatter about it.
namespace fleet::simulation {

class Measures {
public:
  Measures(MetricModel model, std::uint64_t seed) : model_(std::move(model)), seed_(seed) {}

  /// Of a yes or no: between 0 and 1.
  [[nodiscard]] std::optional<rollout::MetricRange> range() const;
  /// Samples of so long a time.
  struct Batch {
    std::int64_t count = 0;
    double sum = 0;
  };
  /// @param shifted  it runs a release that shifts what it measures
  /// @param draw     which of the device's batches
  [[nodiscard]] Batch batch(std::uint32_t device, bool shifted, Millis length, std::uint64_t draw) const;
  /// The mean of what it measured for so long, and of the day before the rollout; nothing when it sent no sample.
  [[nodiscard]] std::optional<rollout::DeviceValue> value(std::uint32_t device, bool shifted, Millis length, std::uint64_t draw) const;
  /// The same as shares of kBins bins over the metric's fleet-wide spread.
  [[nodiscard]] std::vector<double> bins(std::uint32_t device, bool shifted, std::uint64_t draw) const;
  static constexpr int kBins = 10;

private:
  [[nodiscard]] double mean(std::uint32_t device, bool shifted, std::uint64_t period) const;
  [[nodiscard]] bool yes_or_no() const { return model_.within == 0 && model_.mean > 0 && model_.mean < 1; }
  [[nodiscard]] double within(double mean) const;

  MetricModel model_;
  std::uint64_t seed_;
};

}  // namespace fleet::simulation
