#include "core/stats/sketch.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::stats {
namespace {

double log_gamma() {
  static double const value = std::log1p(2 * Sketch::kAccuracy / (1 - Sketch::kAccuracy));
  return value;
}

int index_of(double magnitude) {
  double const index = std::ceil(std::log(magnitude) / log_gamma());
  return static_cast<int>(std::clamp(index, -static_cast<double>(Sketch::kIndexMax) - 1, static_cast<double>(Sketch::kIndexMax)));
}

/// The value of a bucket whose relative distance to both of its ends is the accuracy.
double middle_of(int index) { return std::exp(index * log_gamma()) * (1 - Sketch::kAccuracy); }

}  // namespace

double Sketch::value_of(int key) {
  if (key == kZeroKey) return 0;
  if (key > kZeroKey) return middle_of(key);
  return -middle_of(kZeroKey - 1 - key - kIndexMax);
}

int Sketch::key_of(double x) {
  if (x == 0) return kZeroKey;
  int const index = index_of(std::abs(x));
  if (index < -kIndexMax) return kZeroKey;
  return x > 0 ? index : kZeroKey - 1 - (index + kIndexMax);
}

Sketch::Sketch(Buckets const& buckets) {
  for (auto const& [key, count] : buckets) {
    if (count <= 0) continue;
    buckets_.emplace(key, count);
    count_ += count;
  }
}

void Sketch::add(double x, std::int64_t count) {
  buckets_[key_of(x)] += count;
  count_ += count;
}

void Sketch::merge(Sketch const& other) {
  for (auto const& [key, count] : other.buckets_) buckets_[key] += count;
  count_ += other.count_;
}

void Sketch::collapse(std::size_t most) {
  while (buckets_.size() > std::max<std::size_t>(1, most)) {
    auto const lowest = buckets_.begin();
    std::next(lowest)->second += lowest->second;
    buckets_.erase(lowest);
  }
}

double Sketch::quantile(double q) const {
  if (count_ == 0) return 0;
  double const rank = std::clamp(q, 0., 1.) * static_cast<double>(count_ - 1);
  std::int64_t seen = 0;
  for (auto const& [key, count] : buckets_) {
    seen += count;
    if (static_cast<double>(seen) > rank) return value_of(key);
  }
  return value_of(buckets_.rbegin()->first);
}

}  // namespace fleet::stats
