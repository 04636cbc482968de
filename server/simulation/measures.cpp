#include "server/simulation/measures.hpp"

#include "server/simulation/weather.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::simulation {
namespace {

/// Of `between`: how far a device's mean wanders from one period to the next. A device's periods correlate by .9 then.
constexpr double kWander = .33;
constexpr std::uint64_t kBefore = 0;
constexpr Millis kDayBefore = std::chrono::hours{24};
constexpr std::int64_t kFew = 30;

Dice dice_of(std::uint64_t seed, std::uint32_t device, std::uint64_t draw) {
  Dice mixed(seed ^ 0x6d657472);
  return Dice(mixed.next() ^ (std::uint64_t{device} * 0x9e3779b97f4a7c15) ^ (draw * 0xc2b2ae3d27d4eb4f));
}

/// So many of `count` with the chance `p`.
double binomial(Dice& dice, std::int64_t count, double p) {
  auto const n = static_cast<double>(count);
  if (count > kFew) return std::clamp(std::round(n * p + std::sqrt(n * p * (1 - p)) * dice.normal()), 0., n);
  int out = 0;
  for (std::int64_t i = 0; i < count; ++i) out += dice.uniform() < p;
  return out;
}

}  // namespace

std::optional<rollout::MetricRange> Measures::range() const { return yes_or_no() ? std::optional(rollout::MetricRange{0, 1}) : std::nullopt; }

double Measures::mean(std::uint32_t device, bool shifted, std::uint64_t period) const {
  auto own = dice_of(seed_, device, 1), now = dice_of(seed_, device, 3 + 2 * period);
  double const out = model_.mean + model_.between * (own.normal() * std::sqrt(1 - kWander * kWander) + kWander * now.normal()) + (shifted ? model_.shift : 0);
  return yes_or_no() ? std::clamp(out, 0., 1.) : out;
}

double Measures::within(double mean) const { return yes_or_no() ? std::sqrt(mean * (1 - mean)) : model_.within; }

Measures::Batch Measures::batch(std::uint32_t device, bool shifted, Millis length, std::uint64_t draw) const {
  auto dice = dice_of(seed_, device, 2 + 2 * draw);
  auto const count = static_cast<std::int64_t>(model_.samples_per_hour * static_cast<double>(length.count()) / 3.6e6 + dice.uniform());
  if (count == 0) return {};
  double const level = mean(device, shifted, 1);
  if (yes_or_no()) return {count, binomial(dice, count, level)};
  auto const n = static_cast<double>(count);
  return {count, n * level + std::sqrt(n) * model_.within * dice.normal()};
}

std::optional<rollout::DeviceValue> Measures::value(std::uint32_t device, bool shifted, Millis length, std::uint64_t draw) const {
  auto const now = batch(device, shifted, length, draw);
  if (now.count == 0) return std::nullopt;
  auto dice = dice_of(seed_, device, kBefore);
  double const level = mean(device, false, 0), samples = std::max(1., model_.samples_per_hour * static_cast<double>(kDayBefore.count()) / 3.6e6);
  return rollout::DeviceValue{now.sum / static_cast<double>(now.count), level + within(level) / std::sqrt(samples) * dice.normal()};
}

std::vector<double> Measures::bins(std::uint32_t device, bool shifted, std::uint64_t draw) const {
  constexpr int kSamples = 100;
  double const spread = std::hypot(model_.between, within(model_.mean)), low = model_.mean - 2.5 * spread, width = 5 * spread / kBins;
  double const level = mean(device, shifted, 1), own = within(level);
  auto dice = dice_of(seed_, device, 2 + 2 * draw);
  std::vector<double> out(kBins, 0.);
  for (int i = 0; i < kSamples; ++i) {
    double const value = yes_or_no() ? (dice.uniform() < level ? 1. : 0.) : level + own * dice.normal();
    auto const bin = width > 0 ? std::clamp((value - low) / width, 0., kBins - 1.) : 0.;
    out[static_cast<std::size_t>(bin)] += 1. / kSamples;
  }
  return out;
}

}  // namespace fleet::simulation
