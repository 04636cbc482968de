#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace fleet::stats {

/// Quantiles of a stream within 1 % of the value, mergeable without loss (DDSketch: Masson, Rim, Lee, VLDB 2019).
/// Bucket i holds x with gamma^(i-1) < x <= gamma^i, gamma = (1+a)/(1-a), a = 0.01. Keys ascend with the values: buckets of negative
/// values, mirrored, lie below `kZeroKey`; those of positive ones are the plain index, as other DDSketches have it.
class Sketch {
public:
  using Buckets = std::map<int, std::int64_t>;
  static constexpr double kAccuracy = 0.01;
  static constexpr int kIndexMax = 2000;  ///< 2.3e17; larger magnitudes are counted there, smaller than 4.3e-18 as zero
  static constexpr int kZeroKey = -kIndexMax - 1;

  Sketch() = default;
  /// Buckets as `buckets()` gave them; counts that are not positive are left out.
  explicit Sketch(Buckets const& buckets);

  /// Key of the bucket that counts `x`. NaN has none: callers refuse it first.
  [[nodiscard]] static int key_of(double x);
  /// A value of that bucket, within 1 % of all that it counts.
  [[nodiscard]] static double value_of(int key);
  void add(double x, std::int64_t count = 1);
  void merge(Sketch const& other);
  /// At most `most` buckets: of a wider spread the lowest are counted together (section 3.3), so that the quantiles people watch stay right.
  void collapse(std::size_t most);
  /// Value at `q` in [0, 1], within 1 %; 0 of an empty sketch.
  [[nodiscard]] double quantile(double q) const;
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] Buckets const& buckets() const { return buckets_; }

private:
  Buckets buckets_;
  std::int64_t count_ = 0;
};

}  // namespace fleet::stats
