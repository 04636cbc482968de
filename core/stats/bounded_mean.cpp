#include "core/stats/bounded_mean.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::stats {

std::optional<BoundedMean> BoundedMean::restored(Limits limits, std::vector<double> const& logs) {
  if (logs.size() != 2 * kBets.size()) return std::nullopt;
  auto const middle = logs.begin() + static_cast<std::ptrdiff_t>(kBets.size());
  BoundedMean out(limits);
  out.below_ = Wealth(std::vector<double>(logs.begin(), middle));
  out.above_ = Wealth(std::vector<double>(middle, logs.end()));
  return out;
}

LogEvidence BoundedMean::weighted(Wealth const& wealth) {
  auto logs = wealth.logs();
  for (std::size_t i = 0; i < logs.size(); ++i) logs[i] += std::log(kWeights[i]);
  return {log_mean_exp(logs)};
}

void BoundedMean::add(double x, std::int64_t count) {
  auto const [lo, hi, bound] = limits_;
  double const value = std::clamp(x, lo, hi);
  double const down = (bound - value) / (hi - bound), up = (value - bound) / (bound - lo);  // each at least -1
  for (std::size_t i = 0; i < kBets.size(); ++i) {
    below_.gain(i, kBets[i] * down, count);
    above_.gain(i, kBets[i] * up, count);
  }
}

void BoundedMean::merge(BoundedMean const& other) {
  below_.merge(other.below_);
  above_.merge(other.above_);
}

std::vector<double> BoundedMean::logs() const {
  auto out = below_.logs();
  out.insert(out.end(), above_.logs().begin(), above_.logs().end());
  return out;
}

}  // namespace fleet::stats
