#include "core/stats/wealth.hpp"

#include <cassert>
#include <cmath>

namespace fleet::stats {

void Wealth::gain(std::size_t bet, double gain, std::int64_t count) {
  assert(bet < logs_.size() && gain > -1);
  logs_[bet] += static_cast<double>(count) * std::log1p(gain);
}

void Wealth::merge(Wealth const& other) {
  assert(logs_.size() == other.logs_.size());
  for (std::size_t i = 0; i < logs_.size(); ++i) logs_[i] += other.logs_[i];
}

}  // namespace fleet::stats
