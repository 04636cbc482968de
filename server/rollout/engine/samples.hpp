#pragma once

#include "core/base/result.hpp"
#include "core/stats/asymptotic_mean.hpp"
#include "core/stats/bounded_mean.hpp"
#include "server/rollout/gates/gate.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// When one device is bad by a metric: its own confidence sequence over means of blocks. Pure; the server keeps it in a row, the simulator in memory.
namespace fleet::rollout {

/// What a metric's values lie between, as its release declares it. Without it the sequence is the asymptotic one, which decides nothing for a long time.
struct MetricRange {
  double lo = 0, hi = 1;
};

/// What a device's samples of one metric came to, since it switched; of a control, since it was told. Its size does not grow.
struct DeviceSamples {
  static constexpr std::size_t kBets = stats::BoundedMean::kBets.size();

  std::int64_t block = 0;               ///< the open block: its number since the epoch
  std::int64_t count = 0;               ///< samples in it
  double sum = 0;
  std::int64_t blocks = 0, samples = 0; ///< closed blocks, and the samples in them
  std::int64_t flagged = 0;             ///< samples beside them that count for nothing: of a sensor that is stuck, say
  std::int64_t bad_at = 0;              ///< closed blocks when it was shown to be bad, which stands; 0: it was not
  std::array<double, kBets> below{}, above{};  ///< logs of wealth against "at least min" and "at most max", where the range is declared
  stats::AsymptoticMean::Sums sums;     ///< where it is not
  bool operator==(DeviceSamples const& other) const;
};

/// Takes samples in. They make up their block's mean once one of a later block comes; samples of a block that was closed are left out, because its
/// mean was an observation already. Values beyond the declared range count as the nearer end.
/// @param at     when they were taken
/// @param count  so many; none changes nothing
/// @param sum    of their values; not finite: they are left out
void add(DeviceSamples& samples, AbsoluteGate const& gate, std::optional<MetricRange> const& range, SysTime at, std::int64_t count, double sum);
/// Counts flagged ones.
void add_flagged(DeviceSamples& samples, std::int64_t count);
/// At least as many of its samples are flagged as count: it says nothing of the release, good or bad (docs/adr/0059).
[[nodiscard]] bool is_flagged(DeviceSamples const& samples);
/// Closes the open block when its time is over: what a device that went quiet has sent counts, too.
void close(DeviceSamples& samples, AbsoluteGate const& gate, std::optional<MetricRange> const& range, SysTime now);

/// Its mean is shown to be outside the gate's bounds, at a quarter of `devices_max`: so few healthy devices are called bad that they do not add up to it.
[[nodiscard]] inline bool is_bad(DeviceSamples const& samples) { return samples.bad_at > 0; }
/// It has sent enough to be evidence to pass, and is not flagged.
[[nodiscard]] bool is_covered(DeviceSamples const& samples, AbsoluteGate const& gate);

/// What a gate counts of a device, in one small number: bit 0 is_bad, bit 1 is_covered, then two bits for each of kAges: it has sent so many blocks, and
/// was bad by then; then is_flagged, and whether any of its samples counts. So that whoever keeps counts by it reads a handful of them, whatever the fleet's size.
inline constexpr int kSampleClasses = 1 << (4 + 2 * kAges.size());
[[nodiscard]] int class_of(DeviceSamples const& samples, AbsoluteGate const& gate);
/// Adds devices of one class that have sent samples to what their gate has seen, or, with a negative number, takes them away.
/// @param healthy  their outcome is; only of canaries
void count(MetricTally& tally, int sample_class, Arm arm, bool healthy, std::int64_t devices);
/// The same of one device, before and after its samples, its arm or its outcome change.
void count(MetricTally& tally, DeviceSamples const& samples, AbsoluteGate const& gate, Arm arm, bool healthy, int devices);

/// For the device's row: some hundred bytes of JSON. `decode_samples` gives back the same to the last bit. @errors corrupt
[[nodiscard]] std::string encode(DeviceSamples const& samples);
[[nodiscard]] Result<DeviceSamples> decode_samples(std::string_view json);

}  // namespace fleet::rollout
