#include "core/stats/drift.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

namespace fleet::stats {
namespace {

double total(std::span<std::int64_t const> counts) {
  return std::accumulate(counts.begin(), counts.end(), 0., [](double sum, std::int64_t count) { return sum + static_cast<double>(count); });
}

double share(std::int64_t count, double all) { return std::max(static_cast<double>(count), .5) / all; }

}  // namespace

double debiased_psi(std::span<std::int64_t const> canary, std::span<std::int64_t const> control) {
  assert(canary.size() == control.size());
  double const n = total(canary), m = total(control);
  if (n == 0 || m == 0) return 0;
  double psi = 0;
  for (std::size_t bin = 0; bin < canary.size(); ++bin) {
    if (canary[bin] == 0 && control[bin] == 0) continue;
    double const p = share(canary[bin], n), q = share(control[bin], m);
    psi += (p - q) * std::log(p / q);
  }
  double const bias = static_cast<double>(canary.size() - 1) * (1 / n + 1 / m);
  return std::max(0., psi - bias);
}

std::optional<Drift> Drift::restored(std::size_t bins, std::vector<double> logs) {
  Drift out(bins);
  if (logs.size() != out.logs().size()) return std::nullopt;
  out.wealth_ = Wealth(std::move(logs));
  return out;
}

void Drift::add(std::span<double const> canary, std::span<double const> control_mean) {
  assert(canary.size() == control_mean.size() && canary.size() * 2 * kBets.size() == logs().size());
  std::size_t bet = 0;
  for (std::size_t bin = 0; bin < canary.size(); ++bin) {
    double const difference = std::clamp(canary[bin] - control_mean[bin], -1., 1.);
    for (double const lambda : kBets) {
      wealth_.gain(bet++, lambda * difference);
      wealth_.gain(bet++, -lambda * difference);
    }
  }
}

}  // namespace fleet::stats
