#pragma once

#include "core/stats/wealth.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fleet::stats {

/// Population stability index of two histograms, sum (p-q) log(p/q), less what it is on average when nothing drifted, (B-1)(1/n + 1/m), not below 0. For
/// people to look at; Drift decides. An empty bin counts as half an observation, so that it has a logarithm.
/// @param canary, control  counts, one a bin, of the same bins; 0 when either is empty
[[nodiscard]] double debiased_psi(std::span<std::int64_t const> canary, std::span<std::int64_t const> control);

/// Evidence that values of canaries fall into other bins than those of their controls: a canary device gives, for each bin, its share less the mean share of
/// its controls, D_b in [-1, 1]; wealth over bins x {more, less} x lambda in kBets of prod (1 +- lambda D_b). H0: E[D_b] = 0 for every bin.
class Drift {
public:
  static constexpr std::array kBets{.1, .3, .6};

  explicit Drift(std::size_t bins) : wealth_(bins * 2 * kBets.size()) {}
  /// Logs as `logs()` gave them; nothing when they are not those of so many bins.
  [[nodiscard]] static std::optional<Drift> restored(std::size_t bins, std::vector<double> logs);

  /// One canary device and the controls that are its own.
  /// @param canary, control_mean  shares in [0, 1], one a bin; each device weighs the same, however much it saw
  void add(std::span<double const> canary, std::span<double const> control_mean);
  void merge(Drift const& other) { wealth_.merge(other.wealth_); }
  [[nodiscard]] LogEvidence evidence() const { return wealth_.evidence(); }
  [[nodiscard]] std::vector<double> const& logs() const { return wealth_.logs(); }

private:
  Wealth wealth_;
};

}  // namespace fleet::stats
